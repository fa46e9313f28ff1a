package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/store"
	"vaultpam/store/storetest"
	"vaultpam/vault"
	"vaultpam/vault/vaulttest"
)

var errKilled = errors.New("killed")

// killed fails at one of the calls that change something, and at all after it:
// before the change, or when it is durable already.
type killed struct {
	vault.KeyStore
	vault.RotationStore
	left  int // calls until the end
	after bool
}

func (k *killed) do(f func() error) error {
	k.left--
	if k.left < 0 || k.left == 0 && !k.after {
		return errKilled
	}
	err := f()
	if k.left == 0 {
		return errKilled
	}
	return err
}

func (k *killed) ReplaceRoot(ctx context.Context, old, next []byte) error {
	return k.do(func() error { return k.KeyStore.ReplaceRoot(ctx, old, next) })
}

func (k *killed) ReplaceOrgKey(ctx context.Context, key vault.OrgKey, next []byte) error {
	return k.do(func() error { return k.KeyStore.ReplaceOrgKey(ctx, key, next) })
}

func (k *killed) AddOrgKey(ctx context.Context, key vault.OrgKey) error {
	return k.do(func() error { return k.KeyStore.AddOrgKey(ctx, key) })
}

func (k *killed) UseOrgKey(ctx context.Context, org pam.OrgID, version uint32, n int64) (used int64, err error) {
	err = k.do(func() error { used, err = k.KeyStore.UseOrgKey(ctx, org, version, n); return err })
	return used, err
}

func (k *killed) SaveRotation(ctx context.Context, r vault.Rotation) error {
	return k.do(func() error { return k.RotationStore.SaveRotation(ctx, r) })
}

func (k *killed) SetIdle(ctx context.Context, org pam.OrgID, version uint32, since time.Time) error {
	return k.do(func() error { return k.RotationStore.SetIdle(ctx, org, version, since) })
}

func (k *killed) SetRootIdle(ctx context.Context, since time.Time) error {
	return k.do(func() error { return k.RotationStore.SetRootIdle(ctx, since) })
}

func (k *killed) Reseal(ctx context.Context, r *vault.Rotation, values []vault.Value) (n int, err error) {
	if r == nil && len(values) == 0 {
		return 0, nil
	}
	err = k.do(func() error { n, err = k.RotationStore.Reseal(ctx, r, values); return err })
	return n, err
}

// The process is killed at every change that a rotation makes, before it and
// after it; another one goes on, and nothing is lost or done twice.
func TestARotationGoesOnWhereItWasCutShort(t *testing.T) {
	inSealedWorld(t, func(t *testing.T, w *sealedWorld) {
		keys := w.db.Vault()
		version, steps := uint32(1), 0
		for _, after := range []bool{false, true} {
			for n, cut := 1, true; cut; n++ {
				if n > 50 {
					t.Fatal("it does not come to an end")
				}
				before := len(must[[]vault.OrgKey](t)(keys.AllOrgKeys(t.Context())))
				r := w.begin(vault.ScopeAll, "")
				version++
				k := &killed{keys, keys, n, after}
				o := &vault.Rotator{Vault: vaulttest.Process(t, k, w.seal, w.clock), Store: k, Recordings: w, Clock: w.clock}
				err := o.Run(t.Context(), &r)
				if cut = err != nil; cut && !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				w.allOpen(0)
				w.restart()
				r = must[vault.Rotation](t)(keys.ClaimRotation(t.Context()))
				if err := w.rotator().Run(t.Context(), &r); err != nil {
					t.Fatalf("after a kill at step %d (after it: %v): %v", n, after, err)
				}
				if s := r.Step(vault.StepValues); s.Done != s.Total || s.Failed != 0 {
					t.Errorf("after a kill at step %d (after it: %v): %+v", n, after, s)
				}
				w.finish(r)
				w.allOpen(version)
				if made := len(must[[]vault.OrgKey](t)(keys.AllOrgKeys(t.Context()))) - before; made != 3 {
					t.Errorf("after a kill at step %d (after it: %v), %d organization keys were made", n, after, made)
				}
				if got := w.versions(); !strings.HasSuffix(got, fmt.Sprintf("; root %d of 2", version)) {
					t.Errorf("after a kill at step %d (after it: %v): %s", n, after, got)
				}
				steps++
				if cut || !after { // the last one's old keys stay for what follows
					w.retire()
					w.clock.Advance(2 * vault.Grace)
					if left := w.retire(); left != 0 {
						t.Fatalf("%d old keys are left", left)
					}
				}
			}
		}
		if steps < 20 {
			t.Errorf("only %d places to be killed at", steps)
		}
		// The same for what comes after it.
		w.retire()
		w.clock.Advance(2 * vault.Grace)
		for n, cut := 1, true; cut; n++ {
			k := &killed{keys, keys, n, n%2 == 0}
			o := &vault.Rotator{Vault: vaulttest.Process(t, k, w.seal, w.clock), Store: k, Recordings: w, Clock: w.clock}
			w.vault = o.Vault
			left, err := o.Retire(t.Context(), func(ctx context.Context, r vault.Removal) error {
				return k.do(func() error { return w.remove(ctx, r) })
			})
			if cut = err != nil; cut && !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			if err == nil && left != 0 {
				t.Errorf("%d old keys are left", left)
			}
			w.allOpen(version)
		}
		w.restart()
		if got := must[[]vault.OrgKey](t)(keys.AllOrgKeys(t.Context())); len(got) != 3 {
			t.Errorf("%d keys are left", len(got))
		}
	})
}

// Two nodes share a database: one that has not heard of a new key goes on
// sealing with the old one for a minute at most, and opens what the other
// seals; and takes a rotation over when its node is silent.
func TestTwoNodesRotate(t *testing.T) {
	url, c := storetest.Postgres(t), clock.NewManual(time.Now())
	one, two := storetest.Open(t, store.Options{DatabaseURL: url, Clock: c}), storetest.Open(t, store.Options{DatabaseURL: url, Clock: c})
	w := newSealedWorld(t, one)
	w.clock = c
	w.restart()
	other := vaulttest.Process(t, two.Vault(), w.seal, c)
	v := w.want[0]
	must[[]byte](t)(other.Seal(t.Context(), v.bind, []byte("x")))

	r := w.begin(vault.ScopeAll, "")
	_, err := two.Vault().ClaimRotation(t.Context())
	refused(t, err, pam.NotFound)
	cut, stop := context.WithCancel(t.Context())
	w.turns = &during{w.turns, func([]vault.Value) { stop() }}
	if err := w.rotator().Run(cut, &r); err == nil {
		t.Fatal("it was not cut short")
	}

	// The other opens what it has not heard of, and seals with it from then on.
	deaf := vaulttest.Process(t, two.Vault(), w.seal, c)
	_ = deaf
	stale := must[[]byte](t)(other.Seal(t.Context(), v.bind, []byte("late")))
	if n := vault.SealedBy(stale); n != 1 {
		t.Errorf("who cannot know sealed with key %d", n)
	}
	c.Advance(time.Minute)
	if n := vault.SealedBy(must[[]byte](t)(other.Seal(t.Context(), v.bind, []byte("x")))); n != 2 {
		t.Errorf("a minute later it sealed with key %d", n)
	}

	// The first is silent; the other takes over, and the first finds out.
	taken := must[vault.Rotation](t)(two.Vault().ClaimRotation(t.Context()))
	refused(t, one.Vault().SaveRotation(t.Context(), r), pam.Conflict)
	_, err = one.Vault().Reseal(t.Context(), &r, nil)
	refused(t, err, pam.Conflict)
	o := &vault.Rotator{Vault: other, Store: two.Vault(), Recordings: w, Clock: c}
	if err := o.Run(t.Context(), &taken); err != nil {
		t.Fatal(err)
	}
	if s := taken.Step(vault.StepValues); s.Done != s.Total || s.Failed != 0 || s.Total == 0 {
		t.Errorf("%+v", s)
	}
	refused(t, one.Vault().FinishRotation(t.Context(), r, w.entry()), pam.Conflict)
	taken.FinishedAt = c.Now()
	if err := two.Vault().FinishRotation(t.Context(), taken, w.entry()); err != nil {
		t.Fatal(err)
	}
	w.allOpen(2)
	// A change is heard by the other node at once.
	heard := make(chan pam.Change, 16)
	one.Subscribe(func(c pam.Change) {
		if c.Subject == pam.SubjectKeys {
			heard <- c
		}
	})
	if _, err := other.RenewOrgKey(t.Context(), w.owner.Org, c.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-heard:
		if got.Org != w.owner.Org {
			t.Errorf("%+v", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the other node heard nothing")
	}
	w.vault.Heard(w.owner.Org)
	if n := vault.SealedBy(must[[]byte](t)(w.vault.Seal(t.Context(), v.bind, []byte("x")))); n != 3 {
		t.Errorf("who has heard sealed with key %d", n)
	}
}
