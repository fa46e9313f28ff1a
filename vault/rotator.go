package vault

import (
	"context"
	"errors"
	"slices"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/pam"
)

// What of the keys is rotated.
const (
	ScopeRoot         = "root"
	ScopeOrganization = "organization"
	ScopeAll          = "all"
)

// The steps of a rotation, in their order.
const (
	StepRoot   = "root_key"          // a new one, and every organization key wrapped with it
	StepKeys   = "organization_keys" // a new version each, which seals from then on
	StepValues = "values"            // every value sealed anew
)

// The states of a rotation.
const (
	RotationRunning  = "running"
	RotationFinished = "finished"
)

// Rotation is one turn of the keys, and how far it is.
type Rotation struct {
	ID         string    `json:"-"`
	Scope      string    `json:"-"`
	Org        pam.OrgID `json:"-"` // the only one whose key is rotated; empty: all of them
	State      string    `json:"-"`
	StartedBy  string    `json:"-"` // a user's id, empty for the server itself
	StartedAt  time.Time `json:"-"`
	FinishedAt time.Time `json:"-"`

	Root     uint32         `json:"root,omitempty"` // the version that this rotation makes
	Since    time.Time      `json:"since,omitzero"` // organization keys that are as new were made by it
	Steps    []RotationStep `json:"steps"`
	Problems []ValueProblem `json:"problems,omitempty"` // the first maxProblems
	Trouble  string         `json:"trouble,omitempty"`  // why it waits, and tries again
}

// RotationStep is how far one step is.
type RotationStep struct {
	Name       string    `json:"name"`
	Total      int64     `json:"total"`
	Done       int64     `json:"done"`
	Failed     int64     `json:"failed"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
}

// ValueProblem names what does not open, and not what it is.
type ValueProblem struct {
	Place   string    `json:"place"`
	Org     pam.OrgID `json:"org"`
	Object  string    `json:"object"`
	Version int64     `json:"version"`
	Reason  string    `json:"reason"`
}

const (
	maxProblems = 100
	// sweepBatch is how many values are sealed anew in one transaction: few
	// enough that other writers do not notice.
	sweepBatch = 128
	// Grace is how long no value must have named an old key before it goes:
	// longer than any request that may have read a value before it was sealed
	// anew, and writes it back.
	Grace = time.Hour
)

// NewRotation is a rotation that has not begun.
func NewRotation(id, scope string, org pam.OrgID, now time.Time) Rotation {
	r := Rotation{ID: id, Scope: scope, Org: org, State: RotationRunning, StartedAt: now}
	if scope != ScopeOrganization {
		r.Steps = append(r.Steps, RotationStep{Name: StepRoot})
	}
	if scope != ScopeRoot {
		r.Steps = append(r.Steps, RotationStep{Name: StepKeys}, RotationStep{Name: StepValues})
	}
	return r
}

// Step is the one of that name, zero where the rotation has none.
func (r Rotation) Step(name string) RotationStep {
	for _, s := range r.Steps {
		if s.Name == name {
			return s
		}
	}
	return RotationStep{}
}

// Failed is how many keys and values could not be opened.
func (r Rotation) Failed() (n int64) {
	for _, s := range r.Steps {
		n += s.Failed
	}
	return n
}

func (r *Rotation) failed(s *RotationStep, problems ...ValueProblem) {
	s.Failed += int64(len(problems))
	for _, p := range problems {
		if len(r.Problems) < maxProblems && !slices.Contains(r.Problems, p) { // a step may be taken twice
			r.Problems = append(r.Problems, p)
		}
	}
}

// Value is a sealed value where it is kept.
type Value struct {
	Place   string
	Binding pam.Binding
	Sealed  []byte // nil: it stands in the file of the recording that Binding names
	Next    []byte // sealed anew
	Key     []any  // the row's; the store's own
	Absent  bool   // a file that is not here may yet come, or be on another node
}

// SweepCursor is a place among all values; zero is before the first.
type SweepCursor struct {
	Place int
	After []any
}

// RotationStore keeps rotations and reaches every sealed value. What it writes
// for a rotation is a Conflict once another node has taken the rotation over.
type RotationStore interface {
	// AllOrgKeys returns every key of every organization, by organization and
	// version.
	AllOrgKeys(ctx context.Context) ([]OrgKey, error)
	// CountSealed counts the values of k's organization that name another key.
	CountSealed(ctx context.Context, k OrgKey) (int64, error)
	// ListSealed returns some of those after at, and moves at; none at the end.
	ListSealed(ctx context.Context, k OrgKey, at *SweepCursor, limit int) ([]Value, error)
	// Reseal puts Next in the place of Sealed, where it still is that, and
	// keeps the rotation in the same transaction. It returns how many it were.
	Reseal(ctx context.Context, r *Rotation, values []Value) (int, error)
	// SaveRotation keeps how far it is.
	SaveRotation(ctx context.Context, r Rotation) error
	// LettersOut says whether a letter may be on its way whose link was sealed
	// before t and still serves.
	LettersOut(ctx context.Context, org pam.OrgID, t time.Time) (bool, error)
	// SetIdle notes since when no value names a key; the zero time: some do.
	SetIdle(ctx context.Context, org pam.OrgID, version uint32, since time.Time) error
	// RootIdle is since when no organization key names an old root key.
	RootIdle(ctx context.Context) (time.Time, error)
	SetRootIdle(ctx context.Context, since time.Time) error
}

// RecordingKeys reads what stands in the head of a recording's file.
type RecordingKeys interface {
	// SealedKey returns the sealed key; NotFound where there is no file.
	SealedKey(ctx context.Context, org pam.OrgID, id pam.RecordingID) ([]byte, error)
}

// Rotator rotates keys. All that it does may be done twice, and by two nodes at
// once: values are replaced only where they are what was read.
type Rotator struct {
	Vault      *Vault
	Store      RotationStore
	Recordings RecordingKeys
	Clock      clock.Clock
	Kept       func(org pam.OrgID, why string) // hears why an old key stays; may be nil
}

// Run takes the steps of r that are not taken yet. An error means to call it
// again later; what does not open is counted and stops nothing.
func (o *Rotator) Run(ctx context.Context, r *Rotation) error {
	for i := range r.Steps {
		s := &r.Steps[i]
		if !s.FinishedAt.IsZero() {
			continue
		}
		if s.StartedAt.IsZero() {
			s.StartedAt = o.Clock.Now()
		}
		var err error
		switch s.Name {
		case StepRoot:
			err = o.rootKey(ctx, r, s)
		case StepKeys:
			err = o.orgKeys(ctx, r, s)
		case StepValues:
			err = o.values(ctx, r, s)
		default:
			err = errors.New("vault: unknown step " + s.Name)
		}
		if err != nil {
			return err
		}
		s.FinishedAt = o.Clock.Now()
		if err := o.Store.SaveRotation(ctx, *r); err != nil {
			return err
		}
	}
	return nil
}

func (o *Rotator) rootKey(ctx context.Context, r *Rotation, s *RotationStep) error {
	if r.Root == 0 {
		newest, _, err := o.Vault.RootVersions(ctx)
		if err != nil {
			return err
		}
		r.Root = newest + 1
		// Durable before the key: so that whoever takes over makes no other.
		if err := o.Store.SaveRotation(ctx, *r); err != nil {
			return err
		}
	}
	if err := o.Vault.AddRoot(ctx, r.Root); err != nil {
		return err
	}
	keys, err := o.Store.AllOrgKeys(ctx)
	if err != nil {
		return err
	}
	s.Total, s.Done, s.Failed = int64(len(keys))+1, 1, 0
	for i, k := range keys {
		if i%sweepBatch == 0 {
			if err := o.Store.SaveRotation(ctx, *r); err != nil {
				return err
			}
		}
		_, err := o.Vault.RewrapOrgKey(ctx, k)
		if later(err) {
			return err
		}
		if err != nil {
			r.failed(s, ValueProblem{Place: "vault_org_keys", Org: k.Org, Object: string(k.Org), Version: int64(k.Version), Reason: reason(err)})
			continue
		}
		s.Done++
	}
	return nil
}

func (o *Rotator) orgKeys(ctx context.Context, r *Rotation, s *RotationStep) error {
	newest, err := o.newest(ctx, r.Org)
	if err != nil {
		return err
	}
	if r.Since.IsZero() {
		// After every key that there is, whatever the clocks of the nodes say,
		// and durable before the first one is made: what is as new as that was
		// made by this rotation.
		r.Since = r.StartedAt
		for _, k := range newest {
			if !k.CreatedAt.Before(r.Since) {
				r.Since = k.CreatedAt.Add(time.Microsecond)
			}
		}
		if err := o.Store.SaveRotation(ctx, *r); err != nil {
			return err
		}
	}
	s.Total, s.Done, s.Failed = int64(len(newest)), 0, 0
	for i, k := range newest {
		if i%sweepBatch == 0 {
			if err := o.Store.SaveRotation(ctx, *r); err != nil {
				return err
			}
		}
		_, err := o.Vault.RenewOrgKey(ctx, k.Org, r.Since)
		if later(err) {
			return err
		}
		if err != nil {
			r.failed(s, ValueProblem{Place: "vault_org_keys", Org: k.Org, Object: string(k.Org), Version: int64(k.Version), Reason: reason(err)})
			continue
		}
		s.Done++
	}
	return nil
}

// newest returns the key of each organization that seals, or of one alone.
func (o *Rotator) newest(ctx context.Context, only pam.OrgID) ([]OrgKey, error) {
	keys, err := o.Store.AllOrgKeys(ctx)
	if err != nil {
		return nil, err
	}
	var out []OrgKey
	for i, k := range keys {
		if (only == "" || k.Org == only) && (i+1 == len(keys) || keys[i+1].Org != k.Org) {
			out = append(out, k)
		}
	}
	return out, nil
}

func (o *Rotator) values(ctx context.Context, r *Rotation, s *RotationStep) error {
	newest, err := o.newest(ctx, r.Org)
	if err != nil {
		return err
	}
	// After a pause, what failed is still there and is counted anew; what was
	// done is not.
	s.Total, s.Failed = s.Done, 0
	r.Problems = slices.DeleteFunc(r.Problems, func(p ValueProblem) bool { return p.Place != "vault_org_keys" })
	for _, k := range newest {
		n, err := o.Store.CountSealed(ctx, k)
		if err != nil {
			return err
		}
		s.Total += n
	}
	for _, k := range newest {
		o.Vault.Heard(k.Org)
		_, err := o.sweep(ctx, k, func(ctx context.Context, changed []Value, same int, failed []ValueProblem) error {
			// In a copy, for the transaction to keep: it may be undone.
			next := *r
			next.Steps = slices.Clone(r.Steps)
			t := &next.Steps[len(next.Steps)-1]
			t.Done += int64(len(changed) + same)
			next.failed(t, failed...)
			if _, err := o.Store.Reseal(ctx, &next, changed); err != nil {
				return err
			}
			*s, r.Problems = *t, next.Problems
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep seals anew what does not name k, the newest key of its organization,
// and returns the versions that it met. settle keeps a part of it; same is how
// many turned out to be sealed with k.
func (o *Rotator) sweep(ctx context.Context, k OrgKey, settle func(ctx context.Context, changed []Value, same int, failed []ValueProblem) error) (map[uint32]bool, error) {
	met := map[uint32]bool{}
	for at := (SweepCursor{}); ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		values, err := o.Store.ListSealed(ctx, k, &at, sweepBatch)
		if err != nil || len(values) == 0 {
			return met, err
		}
		var changed []Value
		var failed []ValueProblem
		same := 0
		for _, v := range values {
			inFile := v.Sealed == nil
			if inFile {
				v.Sealed, err = o.Recordings.SealedKey(ctx, v.Binding.Org, pam.RecordingID(v.Binding.Object))
				if pam.Is(err, pam.NotFound) {
					// Every node looks after its own before a key may go.
					same++
					if v.Absent {
						met[anyVersion] = true
					}
					continue
				}
			}
			if err == nil {
				met[SealedBy(v.Sealed)] = true
				if SealedBy(v.Sealed) == k.Version {
					same++
					continue
				}
				v.Next, err = o.Vault.Reseal(ctx, v.Binding, v.Sealed)
			}
			switch {
			case later(err):
				return nil, err
			case err == nil && SealedBy(v.Next) < k.Version:
				return nil, ErrNoKey // it would be met for ever
			case err == nil:
				changed = append(changed, v)
			default:
				if inFile && v.Sealed == nil {
					met[anyVersion] = true // what it names is not known
				}
				failed = append(failed, ValueProblem{Place: v.Place, Org: v.Binding.Org, Object: v.Binding.Object, Version: v.Binding.Version, Reason: reason(err)})
				err = nil
			}
		}
		if err := settle(ctx, changed, same, failed); err != nil {
			return nil, err
		}
	}
}

// anyVersion stands for a value that may name every key.
const anyVersion = 0

// later says whether err may be gone the next time.
func later(err error) bool {
	return pam.Is(err, pam.Sealed) || pam.Is(err, pam.Unavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// reason says why something does not open, in words that hold nothing of it.
func reason(err error) string {
	for _, known := range []error{ErrFormat, ErrLength, ErrNoKey, ErrMoved, ErrAltered, ErrKeyFormat, ErrKeyRoot, ErrKeyMoved, errBinding} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "vault: it cannot be read"
}
