package identity_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/identity"
)

// gate holds every hash that is computed until it is opened.
type gate struct {
	open    chan struct{}
	running atomic.Int64
	most    atomic.Int64
}

func newGate(ps *identity.Passwords) *gate {
	g := &gate{open: make(chan struct{})}
	ps.Watch(func(identity.HashParams) func() {
		n := g.running.Add(1)
		for m := g.most.Load(); n > m && !g.most.CompareAndSwap(m, n); m = g.most.Load() {
		}
		<-g.open
		return func() { g.running.Add(-1) }
	})
	return g
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// hash is a stored hash of password that costs p.
func hash(t testing.TB, p identity.HashParams) string {
	t.Helper()
	ps := must[*identity.Passwords](t)(identity.NewPasswords(p, rand.Reader))
	return must[string](t)(ps.Hash(t.Context(), "hash", "password", secretOf(password)))
}

// A storm of logins computes as many hashes at a time as there are slots,
// whether of somebody, of nobody, or of a new password; so many wait, and the
// rest hears at once that the server is busy.
func TestStormOfLoginsStaysWithinItsMemory(t *testing.T) {
	const slots = 3
	stored := hash(t, cheap)
	ps := must[*identity.Passwords](t)(identity.NewPasswords(identity.HashParams{MemoryKiB: 8, Time: 1, Parallelism: 1, Concurrency: slots}, rand.Reader))
	g := newGate(ps)
	var wg sync.WaitGroup
	var served, busy atomic.Int64
	ask := func(i int) {
		var err error
		switch i % 3 {
		case 0:
			_, _, err = ps.Verify(t.Context(), stored, secretOf(password))
		case 1:
			_, _, err = ps.Verify(t.Context(), "", secretOf(password))
		case 2:
			_, err = ps.Hash(t.Context(), "hash", "password", secretOf(password))
		}
		switch {
		case err == nil:
			served.Add(1)
		case pam.Is(err, pam.Unavailable):
			busy.Add(1)
		default:
			t.Error(err)
		}
	}
	for i := range slots {
		wg.Go(func() { ask(i) })
	}
	eventually(t, "the slots are taken", func() bool { return g.running.Load() == slots })
	for i := range identity.QueueLength {
		wg.Go(func() { ask(i) })
	}
	eventually(t, "the queue is full", func() bool { return ps.Waiting() == identity.QueueLength })
	for i := range 50 {
		ask(i) // not in the background: whoever finds the queue full does not wait
	}
	if busy.Load() != 50 || g.most.Load() != slots {
		t.Errorf("%d heard that the server is busy; %d hashes at a time", busy.Load(), g.most.Load())
	}
	close(g.open)
	wg.Wait()
	if served.Load() != slots+identity.QueueLength || g.most.Load() != slots || ps.Waiting() != 0 {
		t.Errorf("%d served, %d hashes at a time, %d still wait", served.Load(), g.most.Load(), ps.Waiting())
	}
}

func TestWhoeverHasGoneLeavesTheQueue(t *testing.T) {
	ps := must[*identity.Passwords](t)(identity.NewPasswords(identity.HashParams{MemoryKiB: 8, Time: 1, Parallelism: 1, Concurrency: 1}, rand.Reader))
	g := newGate(ps)
	var hashes atomic.Int64
	ps.Watch(func(identity.HashParams) func() { hashes.Add(1); return func() {} })
	var wg sync.WaitGroup
	wg.Go(func() { _, _, _ = ps.Verify(context.Background(), "", secretOf(password)) })
	eventually(t, "the slot is taken", func() bool { return g.running.Load() == 1 })
	ctx, leave := context.WithCancel(t.Context())
	for range 20 {
		wg.Go(func() {
			_, _, err := ps.Verify(ctx, "", secretOf(password))
			refused(t, "one who has gone", err, pam.Unavailable)
		})
	}
	eventually(t, "they wait", func() bool { return ps.Waiting() == 20 })
	leave()
	eventually(t, "they have left", func() bool { return ps.Waiting() == 0 })
	close(g.open)
	wg.Wait()
	if _, _, err := ps.Verify(ctx, "", secretOf(password)); !pam.Is(err, pam.Unavailable) {
		t.Errorf("a free slot, for one who has gone: %v", err)
	}
	if hashes.Load() != 1 {
		t.Errorf("%d hashes", hashes.Load())
	}
	if _, _, err := ps.Verify(t.Context(), "", secretOf(password)); err != nil {
		t.Errorf("a slot was lost: %v", err)
	}
}

func TestPasswordsThatMayNotBeChosen(t *testing.T) {
	for p, want := range map[string]bool{
		password: true, "twelve chars": true, "elevenchars": false, "": false, "äöüäöüäöüäöü": true, "äöüäöüäöüäö": false,
		strings.Repeat("x", 256): true, strings.Repeat("x", 257): false, "ADMINISTRATOR": false, "123456789012": false, "not text \xff\xff\xff": false,
	} {
		if problem := identity.Check(secretOf(p)); (problem == "") != want {
			t.Errorf("%.20q: %q", p, problem)
		} else if p != "" && strings.Contains(problem, p) {
			t.Errorf("%q repeats the password", problem)
		}
	}
}

func TestOnlyTheWholePasswordIsRight(t *testing.T) {
	ps := must[*identity.Passwords](t)(identity.NewPasswords(cheap, rand.Reader))
	stored, long := hash(t, cheap), strings.Repeat("x", 256)
	longest := must[string](t)(ps.Hash(t.Context(), "hash", "password", secretOf(long)))
	for _, c := range []struct {
		phc, given string
		want       bool
	}{
		{stored, password, true},
		{stored, password + "\x00", false},
		{stored, password[1:], false},
		{stored, strings.ToUpper(password), false},
		{stored, "", false},
		{longest, long, true},
		{longest, long + "x", false},
		{longest, long[1:], false},
		{"", "", false},
		{"", "nobody's password", false}, // what logins of nobody are compared with
	} {
		right, _, err := ps.Verify(t.Context(), c.phc, secretOf(c.given))
		if err != nil || right != c.want {
			t.Errorf("%.20q for %.30q: %v, %v", c.given, c.phc, right, err)
		}
	}
	if hash(t, cheap) == stored {
		t.Error("the same password has the same hash twice")
	}
	for _, cut := range []int{1, 4, 20, 43, 50} {
		if right, _, _ := ps.Verify(t.Context(), stored[:len(stored)-cut], secretOf(password)); right {
			t.Errorf("a hash without its last %d characters is taken", cut)
		}
	}
}

// New costs hold for a password from the next login on, and for nobody who
// does not know it.
func TestHashIsMadeAnewWithTheCostsOfToday(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		stored := func() string { return must[identity.User](t)(w.db.UserByID(t.Context(), w.owner.User)).PasswordHash }
		before := stored()
		if !strings.Contains(before, "$m=8,t=1,p=1$") {
			t.Fatal(before)
		}
		w.use(identity.HashParams{MemoryKiB: 16, Time: 2, Parallelism: 1})
		refused(t, "a wrong password", w.try("owner@example.com", "wrong horse battery"), pam.AuthFailed)
		if stored() != before {
			t.Error("a wrong password has changed the hash")
		}
		fine(t, w.try("owner@example.com", password))
		after := stored()
		if !strings.Contains(after, "$m=16,t=2,p=1$") {
			t.Error(after)
		}
		hashes := w.hashes.Load()
		fine(t, w.try("owner@example.com", password))
		if n := w.hashes.Load() - hashes; n != 1 || stored() != after {
			t.Errorf("%d hashes the second time", n)
		}
		// A hash that was made of the old password meanwhile replaces nothing.
		fine(t, w.db.Rehash(t.Context(), w.owner.User, before, "of yesterday"))
		if stored() != after {
			t.Error("an old hash came back")
		}
	})
}

func TestCostsThatCannotBePaidAreRefused(t *testing.T) {
	for _, p := range []identity.HashParams{
		{},
		{MemoryKiB: 8, Time: 0, Parallelism: 1},
		{MemoryKiB: 8, Time: 1, Parallelism: 0},
		{MemoryKiB: 7, Time: 1, Parallelism: 1},
		{MemoryKiB: 5 << 20, Time: 1, Parallelism: 1},
		{MemoryKiB: 8, Time: 1 << 20, Parallelism: 1},
		{MemoryKiB: 64, Time: 1, Parallelism: 9},
	} {
		if _, err := identity.NewPasswords(p, rand.Reader); err == nil {
			t.Errorf("%+v is taken", p)
		}
	}
	var ps *identity.Passwords
	if ps, _ = identity.NewPasswords(cheap, rand.Reader); ps == nil {
		t.Fatal("no pool")
	}
	var none secret.Value
	if _, err := ps.Hash(t.Context(), "hash", "password", none); !pam.Is(err, pam.Invalid) {
		t.Errorf("no password at all: %v", err)
	}
}
