// Package audit is the tamper-evident log: what happened, in an order that
// nobody can change unseen.
//
// It owns the catalogue of events, the form in which an event is hashed, the
// Merkle tree over them, checkpoints, proofs and the offline verifier. It must
// not know where the log is kept, nor what the acts mean. Start at [Entry],
// then [Log]; the formats are in docs/formats/audit.md.
package audit

import (
	"crypto/sha256"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
)

// Hash is a SHA-256 hash.
type Hash = [32]byte

// Party is who acted, or what was acted on.
type Party struct{ Type, ID, Name string }

// Entry is one event before it has its place in the log.
type Entry struct {
	ID        pam.EventID
	Time      time.Time
	Type      Type
	Org       pam.OrgID // pam.InstanceOrg: the instance's own log
	Actor     Party
	Target    Party
	SourceIP  string
	RequestID string
	Metadata  map[string]any // values: string, bool, int64, []string; never a secret
}

// Event is an entry in its place.
type Event struct {
	Entry
	LeafIndex int64 // -1 until it has one
	LeafHash  Hash
}

// LeafHash is the hash of a leaf (RFC 6962 section 2.1).
func LeafHash(canonical []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(canonical)
	return Hash(h.Sum(nil))
}

// Scribe makes entries. It is safe for concurrent use.
type Scribe struct {
	clock clock.Clock
	ids   *ids.Source
}

// NewScribe takes the time from c and event ids from src.
func NewScribe(c clock.Clock, src *ids.Source) *Scribe { return &Scribe{clock: c, ids: src} }

// Entry notes that a did t to target, in the log of a's organization.
func (s *Scribe) Entry(a pam.Actor, t Type, target Party, metadata map[string]any) Entry {
	e := Entry{
		ID: pam.EventID(s.ids.New(pam.PrefixEvent)), Time: s.clock.Now(), Type: t, Org: a.Org,
		Actor:  Party{Type: "user", ID: string(a.User), Name: a.Email},
		Target: target, RequestID: a.RequestID, Metadata: metadata,
	}
	if a.Token == pam.SystemToken && a.User == "" {
		e.Actor = Party{Type: "system", Name: "server"}
	}
	if a.Token == pam.DirectoryToken {
		e.Actor = Party{Type: "scim_token", ID: a.TokenID, Name: a.Name}
	}
	if a.From.IsValid() {
		e.SourceIP = a.From.Unmap().String()
	}
	return e
}

// ForOrg moves an entry to another organization's log.
func ForOrg(e Entry, org pam.OrgID) Entry { e.Org = org; return e }
