// Package account is a login identity on a target and the versions of the
// secret behind it.
//
// It owns the Account, its Credential and who may set one. It must not know
// how a secret is protected (that is pam.Sealer) nor who gets to use it (that
// is the broker). Start at [Account], [Secret] and [Service].
package account

import (
	"context"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Purpose is the Binding.Purpose of a sealed credential; its Object is the
// account's id.
const Purpose = "account.credential"

// Credential is what may be known of the promoted version.
type Credential struct {
	Kind          Kind
	Version       int64
	Public        // its public half
	RotatedAt     time.Time
	RotationState string     // Stable, or the state of the rotation that is under way
	Ephemeral     *Ephemeral // what is made at each launch, if Kind is that
}

// Stable is the rotation state of a credential that nobody is rotating.
const Stable = "stable"

// Version is one entry of a credential's history.
type Version struct {
	Version   int64
	Kind      Kind
	Public    // its public half
	CreatedBy pam.UserID
	CreatedAt time.Time
	Promoted  bool
	Working   bool // known to log in
	State     State
	PurgedAt  time.Time // zero: not purged
	PurgedBy  pam.UserID
	Weak      string // why the value is weak (package guess); "" it is not, or nobody looked
}

// State is what is known of a version.
type State string

// The states. A candidate is a rotation's: whether it logs in is about to be
// found out. What is purged cannot be opened any more.
const (
	Stored    State = "stored"
	Candidate State = "candidate"
	Rejected  State = "rejected"
	Purged    State = "purged"
)

// SealedVersion is a version on its way into the store.
type SealedVersion struct {
	Version
	Sealed    []byte     // empty: nothing is kept
	Ephemeral *Ephemeral // replaces the account's, if it is not nil
}

// Settings is everything that a client writes of an account, but for its
// secret.
type Settings struct {
	Name       string
	Slug       string // "" at creation: from the name
	Username   string
	ResourceID pam.ResourceID // "": a domain account
}

// Account is an account as it stands.
type Account struct {
	ID  pam.AccountID
	Org pam.OrgID
	Settings
	ResourceType pam.Protocol // that of the resource; "" without one
	Credential   *Credential  // nil: none yet
	Version      int64
	CreatedBy    pam.UserID
	CreatedAt    time.Time
	UpdatedAt    time.Time
	// Pending is the first confirmation that the credential waits for, ""
	// when it waits for none.
	Pending pam.ConfirmationID
}

// Cursor is the account's place in a list.
func (a Account) Cursor() string {
	return naming.Cursor{Key: naming.Key(a.Name), ID: string(a.ID)}.String()
}

// Filter narrows a list of accounts, and orders it. The zero value does neither.
type Filter struct {
	Text     string         // in the name or username, without regard to case
	Resource pam.ResourceID // "": any, and none
	Order    naming.Order
}

// Query is one page of accounts in the order of the filter.
type Query struct {
	Filter
	User  pam.UserID // with All false: those bound in a Safe that User is in, and those that User created
	All   bool
	After naming.Cursor
	Limit int
	Now   time.Time
}

// Holder is a Safe that binds an account, and the asker's role in it.
type Holder struct {
	Safe pam.SafeID
	Role pam.SafeRole
}

// Store keeps accounts and their sealed credentials. Everything that it
// changes is durable when it returns.
type Store interface {
	// CreateAccount stores a, with its first version if v is not nil, and
	// returns it with the slug that it got.
	CreateAccount(ctx context.Context, org pam.OrgID, a Account, v *SealedVersion, e audit.Entry) (Account, error)
	AccountByID(ctx context.Context, org pam.OrgID, id pam.AccountID) (Account, error)
	ListAccounts(ctx context.Context, org pam.OrgID, q Query) ([]Account, error)
	// Holders lists the Safes that bind the account, with the roles of user.
	Holders(ctx context.Context, org pam.OrgID, id pam.AccountID, user pam.UserID, now time.Time) ([]Holder, error)
	// UpdateAccount replaces the settings if the account still has version,
	// else it is a Precondition. It is Invalid if a Safe binds the account to
	// another resource. With h the change is a redirection.
	UpdateAccount(ctx context.Context, org pam.OrgID, a Account, version int64, h *pam.Hold, e audit.Entry) (Account, error)
	// DeleteAccount is a Conflict while a Safe binds it.
	DeleteAccount(ctx context.Context, org pam.OrgID, id pam.AccountID, version int64, e audit.Entry) error
	// AddCredential stores a version and promotes it; a Conflict if the
	// version is not the one after the newest.
	AddCredential(ctx context.Context, org pam.OrgID, id pam.AccountID, v SealedVersion, e audit.Entry) error
	// CredentialVersions lists the history, newest first.
	CredentialVersions(ctx context.Context, org pam.OrgID, id pam.AccountID) ([]Version, error)
	// PurgeCredentials overwrites the secrets of versions; a Conflict if one of
	// them is in use, a candidate or purged, or a rotation is under way.
	PurgeCredentials(ctx context.Context, org pam.OrgID, id pam.AccountID, versions []int64, by pam.UserID, at time.Time, e audit.Entry) error
	// PromoteCredential makes an old version the one that logs in; a Conflict
	// if it is purged or a rotation is under way.
	PromoteCredential(ctx context.Context, org pam.OrgID, id pam.AccountID, version int64, at time.Time, e audit.Entry) error
	// ResourceType is that of a resource, "" if there is no such resource.
	ResourceType(ctx context.Context, org pam.OrgID, id pam.ResourceID) (pam.Protocol, error)
	// AccountNamed finds the account of that name at a resource ("": a domain
	// account); it is NotFound without one.
	AccountNamed(ctx context.Context, org pam.OrgID, name string, at pam.ResourceID) (Account, error)
}

// SealedCredential is one version as it is kept. It opens with
// pam.Binding{Org, Purpose, the account's id, Version}.
type SealedCredential struct {
	Account   pam.AccountID
	Username  string
	Kind      Kind
	Version   int64
	PublicKey string
	Sealed    []byte
}

// Secret gives out sealed credentials. The broker alone is handed it: every
// other room gets a Store, which cannot.
type Secret interface {
	// SealedCredential returns the version that is known to log in: the
	// promoted one, but while a rotation is under way. It is NotFound without
	// one, and Unavailable while it is not known which does.
	SealedCredential(ctx context.Context, org pam.OrgID, id pam.AccountID) (SealedCredential, error)
	// SealedVersion returns one version; NotFound if there is none, or it was
	// purged.
	SealedVersion(ctx context.Context, org pam.OrgID, id pam.AccountID, version int64) (SealedCredential, error)
	// WorkingVersion is the number of what SealedCredential would return; 0
	// where it would not.
	WorkingVersion(ctx context.Context, org pam.OrgID, id pam.AccountID) (int64, error)
}
