// Package pam holds the words that every room of the product shares: typed
// ids, the Actor who asks, the Error that refuses, and what nouns that keep
// secrets need of a vault.
//
// It must not know any single noun, nor storage, nor a wire format. Start at
// [Actor] and [Error].
package pam

import (
	"context"

	"vaultpam/internal/secret"
)

// Identifiers are a prefix and a ULID. They are distinct types so that the
// compiler refuses a Safe's id where a user's is meant.
type (
	OrgID          string // org_
	UserID         string // usr_
	GroupID        string // grp_
	ConnectorID    string // con_
	ResourceID     string // res_
	AccountID      string // acc_
	SafeID         string // saf_
	PolicyID       string // pol_
	RequestID      string // req_: an access request, not an HTTP request
	GrantID        string // gnt_
	ReviewID       string // rvw_
	FactorID       string // mfa_
	ReviewItemID   string // rvi_
	CheckoutID     string // chk_
	SessionID      string // ses_
	RecordingID    string // rec_
	EventID        string // evt_
	TokenID        string // pat_
	LoginID        string // lgn_
	KeyID          string // key_
	MemberID       string // mem_: one membership of a Safe
	ConfirmationID string // cnf_
	InvitationID   string // inv_
	ProviderID     string // sso_
	IdentityID     string // idn_: whom a provider's subject is
	WorkloadRuleID string // wlr_
	SCIMTokenID    string // sct_: what a directory shows to fill an organization
	WebhookID      string // whk_
	RotationID     string // rot_
	LeaseID        string // lea_: a user at a target for a time
)

// Prefixes of the ids, as the public contract names them.
const (
	PrefixOrg          = "org_"
	PrefixUser         = "usr_"
	PrefixGroup        = "grp_"
	PrefixConnector    = "con_"
	PrefixResource     = "res_"
	PrefixAccount      = "acc_"
	PrefixSafe         = "saf_"
	PrefixPolicy       = "pol_"
	PrefixRequest      = "req_"
	PrefixGrant        = "gnt_"
	PrefixCheckout     = "chk_"
	PrefixSession      = "ses_"
	PrefixRecording    = "rec_"
	PrefixEvent        = "evt_"
	PrefixToken        = "pat_"
	PrefixLogin        = "lgn_"
	PrefixKey          = "key_"
	PrefixMember       = "mem_"
	PrefixConfirmation = "cnf_"
	PrefixInvitation   = "inv_"
	PrefixProvider     = "sso_"
	PrefixIdentity     = "idn_"
	PrefixWorkloadRule = "wlr_"
	PrefixSCIMToken    = "sct_"
	PrefixReview       = "rvw_"
	PrefixReviewItem   = "rvi_"
	PrefixFactor       = "mfa_"
	PrefixWebhook      = "whk_"
	PrefixRotation     = "rot_"
	PrefixLease        = "lea_"
	PrefixKit          = "kit_"
)

// InstanceOrg is the organization of what belongs to no organization: the
// instance's own audit log and the server's own keys.
const InstanceOrg OrgID = ""

// Protocol is how a target is spoken to; also a resource's type.
type Protocol string

// The protocols of the contract.
const (
	SSH        Protocol = "ssh"
	PostgreSQL Protocol = "postgresql"
	MySQL      Protocol = "mysql"
	Redis      Protocol = "redis"
	MSSQL      Protocol = "mssql"
	MongoDB    Protocol = "mongodb"
	HTTP       Protocol = "http"
	Kubernetes Protocol = "kubernetes"
	RDP        Protocol = "rdp"
	VNC        Protocol = "vnc"
	LDAP       Protocol = "ldap" // a directory: passwords are changed there, nobody is connected to it
)

// Protocols lists all of them in the order of the contract.
var Protocols = []Protocol{SSH, PostgreSQL, MySQL, Redis, MSSQL, MongoDB, HTTP, Kubernetes, RDP, VNC, LDAP}

// Binding says what a sealed value is, and is bound into it as associated
// data: a value copied to another row does not open there.
type Binding struct {
	Org     OrgID  // InstanceOrg for what belongs to the server itself
	Purpose string // a constant of the noun, such as "account.credential"
	Object  string // the id of the object that the value belongs to
	Version int64  // the version within the object, from 1
}

// Sealer protects secrets at rest. It is satisfied by the vault. Every method
// returns an Error of kind Sealed while the vault is sealed.
type Sealer interface {
	// Seal encrypts plaintext for b. It does not wipe plaintext.
	Seal(ctx context.Context, b Binding, plaintext []byte) (sealed []byte, err error)
	// Open decrypts what Seal returned for the same b.
	Open(ctx context.Context, b Binding, sealed []byte) (secret.Value, error)
}

// Signature is an ed25519 signature (RFC 8032) and the public key that checks
// it.
type Signature struct {
	PublicKey []byte // 32 bytes
	Sig       []byte // 64 bytes
}

// Signer signs for an organization with a key that never leaves the vault.
// It is satisfied by the vault.
type Signer interface {
	// Sign signs message with the organization's evidence key. Callers put a
	// domain of their own at the start of message, so that a signature made
	// for one format means nothing in another. It returns an Error of kind
	// Sealed while the vault is sealed.
	Sign(ctx context.Context, org OrgID, message []byte) (Signature, error)
	// PublicKey returns the 32 bytes that check the organization's signatures.
	// A sealed vault answers too, with an Error of kind Sealed only where no
	// key was made yet.
	PublicKey(ctx context.Context, org OrgID) ([]byte, error)
}
