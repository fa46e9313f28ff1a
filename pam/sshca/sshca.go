// Package sshca signs SSH certificates of users, so that targets need no secret
// that is kept anywhere.
//
// It owns the authorities of an organization, what a certificate says and which
// of them are taken back. It must not know who may launch what, nor a target:
// the broker asks for a certificate when a target has proved who it is. Start at
// [Service.Issue].
package sshca

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Purpose is the Binding.Purpose of an authority's sealed key; its Object is the
// organization, its Version the authority's number.
const Purpose = "ssh.user-ca"

// Limits.
const (
	DefaultTTL    = 2 * time.Minute
	MaxTTL        = 15 * time.Minute // logging in takes seconds
	skew          = 30 * time.Second // by which a target's clock may be behind
	maxAuthority  = 8                // that are trusted at a time
	maxActivation = 30 * 24 * time.Hour
	maxRevoked    = 100_000 // on one list
)

// Authority is a key that targets trust.
type Authority struct {
	Number     int64
	PublicKey  string // OpenSSH line
	ActiveFrom time.Time
	CreatedAt  time.Time
	Active     bool // it is the one that signs now
}

// SealedAuthority is an authority with its key.
type SealedAuthority struct {
	Authority
	Sealed []byte
}

// Certificate is what is kept of one until it has expired.
type Certificate struct {
	Serial    int64
	Authority int64
	Session   pam.SessionID // "": a check of a login
	Account   pam.AccountID
	ExpiresAt time.Time
}

// Want asks for a certificate.
type Want struct {
	Session    pam.SessionID
	Account    pam.AccountID
	Principals []string
	TTL        time.Duration // 0: DefaultTTL; more than MaxTTL is MaxTTL
	// What the Safe allows beside a terminal.
	PortForwarding, AgentForwarding bool
	Target                          audit.Party
	Metadata                        map[string]any // of the event
}

// Store keeps authorities and certificates. *store.DB satisfies it.
type Store interface {
	// SSHAuthorities lists all of org, the oldest first.
	SSHAuthorities(ctx context.Context, org pam.OrgID) ([]SealedAuthority, error)
	// AddSSHAuthority stores one; a Conflict if its number is taken.
	AddSSHAuthority(ctx context.Context, org pam.OrgID, a SealedAuthority, e audit.Entry) error
	// RemoveSSHAuthority is NotFound without it.
	RemoveSSHAuthority(ctx context.Context, org pam.OrgID, number int64, e audit.Entry) error
	// AddSSHCertificate stores a certificate, and forgets those that had
	// expired at now.
	AddSSHCertificate(ctx context.Context, org pam.OrgID, c Certificate, now time.Time, e audit.Entry) error
	// EndedSSHCertificates lists those that have not expired and whose session
	// is over, or is to be.
	EndedSSHCertificates(ctx context.Context, org pam.OrgID, now time.Time, limit int) ([]Certificate, error)
	// HasOrganization says whether there is such an organization.
	HasOrganization(ctx context.Context, id pam.OrgID) (bool, error)
}

// Revoked is what a target is told not to believe.
type Revoked struct {
	Organization pam.OrgID
	At           time.Time
	Authorities  []RevokedBy
}

// RevokedBy is what one authority takes back.
type RevokedBy struct {
	PublicKey []byte // in SSH's wire format
	Serials   []uint64
}
