package script

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// Somebody has a list of e-mail addresses and a good clock, and wants to know
// which of them are users here, which are locked and which are suspended. The
// answers are the same, word for word, and take the same time. The times are
// compared with the hashes that a server uses by default, of some 20 ms: a
// way that makes no hash, or two, is far outside of what other work on this
// machine does to a median.
func TestAttackLoginTimesTellNobodyApart(t *testing.T) {
	t.Parallel()
	p := newServer(t)
	p.args = slices.DeleteFunc(p.args, func(a string) bool {
		return a == "--argon2-memory-kib" || a == "64" || a == "--argon2-time" || a == "1"
	})
	p.start()
	owner := p.owner()
	person := func(email string) string {
		no := false
		return read[v1.Member](owner.call("POST", "/org/members", v1.MemberIn{Email: email, Role: "operator", Password: ownerPassword, MustChangePassword: &no})).UserID
	}
	person("known@login.test")
	locked := "locked@login.test"
	person(locked)
	owner.call("POST", "/org/members/"+person("suspended@login.test")+"/suspend", nil).want(http.StatusOK)
	owner.call("POST", "/org/members", v1.MemberIn{Email: "invited@login.test", Role: "operator"}) // has no password
	owner.call("DELETE", "/org/members/"+person("removed@login.test"), nil).want(http.StatusNoContent)
	var wg sync.WaitGroup
	for range 16 { // ten lock it for a second, and each later one for twice as long
		wg.Go(func() {
			p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: locked, Password: "wrong-horse-battery"}).want(http.StatusUnauthorized, "AUTH_FAILED")
		})
	}
	wg.Wait()

	type try struct{ what, email, password string }
	tries := []try{
		{"a wrong password", "known@login.test", "wrong-horse-battery"},
		{"nobody", "nobody@login.test", "wrong-horse-battery"},
		{"no e-mail at all", "not an e-mail", "wrong-horse-battery"},
		{"somebody locked", locked, "wrong-horse-battery"},
		{"the right password of somebody suspended", "suspended@login.test", ownerPassword},
		{"the right password of somebody removed", "removed@login.test", ownerPassword},
		{"somebody invited", "invited@login.test", "wrong-horse-battery"},
		{"a very long password", "known@login.test", strings.Repeat("long", 250)},
	}
	var said string
	measure := func() map[string]time.Duration {
		took, medians := map[string][]time.Duration{}, map[string]time.Duration{}
		for round := range 11 {
			for i := range tries {
				one := tries[(i+round)%len(tries)]
				began := time.Now()
				a := p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: one.email, Password: one.password})
				took[one.what] = append(took[one.what], time.Since(began))
				if said == "" {
					said = a.plain()
				}
				if a.status != http.StatusUnauthorized || a.plain() != said {
					t.Fatalf("%s: %d %s, others get %s", one.what, a.status, a.body, said)
				}
			}
			// Otherwise this account would be locked as well.
			p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: "known@login.test", Password: ownerPassword}).want(http.StatusOK)
		}
		for what, d := range took {
			slices.Sort(d)
			medians[what] = d[len(d)/2]
		}
		return medians
	}
	// What is really slower or faster is so each time.
	for attempt := 1; ; attempt++ {
		medians := measure()
		base, apart := medians[tries[0].what], 0
		for what, m := range medians {
			if ratio := float64(m) / float64(base); ratio < 0.6 || ratio > 1.7 {
				t.Logf("%s takes %s, a wrong password %s", what, m, base)
				apart++
			}
		}
		if apart == 0 {
			return
		}
		if attempt == 3 {
			t.Fatal("the time of an answer tells who is a user here")
		}
	}
}

// Somebody tries passwords from one place, in order to find one or to shut
// its owner out. The tries from there slow down to nothing; the owner comes in
// from elsewhere all the while, and the log counts instead of growing.
func TestAttackGuessingPasswordsLocksTheGuesserOut(t *testing.T) {
	t.Parallel()
	p := startServer(t, "--trusted-proxies", "127.0.0.1")
	owner := p.owner()
	guess := func(password, from string) answer {
		return p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: ownerEmail, Password: password}, "X-Forwarded-For", from)
	}
	// Ten failures lock for a second; each one after that, for twice as long as
	// before. An IPv6 customer has 2^64 addresses, which are one source.
	fails := func() {
		guess("guess-after-guess", "192.0.2.1").want(http.StatusUnauthorized, "AUTH_FAILED")
		guess("guess-after-guess", fmt.Sprintf("2001:db8::%x", rand.IntN(1<<16))).want(http.StatusUnauthorized, "AUTH_FAILED")
	}
	for range 60 {
		fails()
	}
	for _, locked := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		time.Sleep(locked)
		fails()
	}
	// They are locked for 16 s now.
	for _, from := range []string{"192.0.2.1", "192.0.2.1, 192.0.2.1", "198.51.100.9, 192.0.2.1", "2001:db8::ffff"} { // the third with what the client wrote itself
		guess(ownerPassword, from).want(http.StatusUnauthorized, "AUTH_FAILED")
	}
	for _, from := range []string{"192.0.2.2", "2001:db8:0:1::1"} {
		guess(ownerPassword, from).want(http.StatusOK)
	}
	// Other spellings are the same account.
	for _, email := range []string{"OWNER@example.com", " owner@example.com"} {
		p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: email, Password: ownerPassword}, "X-Forwarded-For", "192.0.2.1").want(http.StatusUnauthorized, "AUTH_FAILED")
	}
	if n := len(owner.events("LOGIN_FAILED")); n == 0 || n > 60 {
		t.Errorf("%d events of 130 guesses", n)
	}
}
