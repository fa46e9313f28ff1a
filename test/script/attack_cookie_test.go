package script

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// The attack: get at the console's login, or make its browser act.

func TestConsoleLoginIsACookieThatNoScriptCanRead(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	a := p.nobody().call("POST", "/auth/cookie", v1.LoginIn{Email: ownerEmail, Password: ownerPassword}).want(http.StatusOK)
	set := a.header.Values("Set-Cookie")
	if len(set) != 1 {
		t.Fatalf("Set-Cookie: %q", set)
	}
	for _, part := range []string{"__Host-vaultpam=vps_", "; Path=/;", "; Secure;", "; HttpOnly;", "; SameSite=Strict"} {
		if !strings.Contains(set[0], part) {
			t.Errorf("the cookie lacks %q: %s", part, set[0])
		}
	}
	if strings.Contains(set[0], "Domain") {
		t.Errorf("other hosts get it: %s", set[0])
	}
	if cookie := cookieOf(a); strings.Contains(string(a.body), cookie) || strings.Contains(string(a.body), "access_token") {
		t.Errorf("the body shows the login: %s", a.body)
	}
	in := read[v1.ConsoleLogin](a)
	if in.CSRFToken == "" || in.IdleSeconds != 1800 || time.Until(in.ExpiresAt) > 12*time.Hour || time.Until(in.ExpiresAt) < 12*time.Hour-time.Minute {
		t.Errorf("%+v", in)
	}
	b := p.browser(ownerEmail, ownerPassword)
	if again := read[v1.ConsoleLogin](b.call("GET", "/auth/cookie", nil)); again.CSRFToken != b.csrf {
		t.Error("after a reload the page gets another CSRF token")
	}
	if _, ok := document(t, p)["POST /auth/cookie"]; !ok {
		t.Error("it is not documented")
	}
}

// Whatever fails, it is the same refusal as that of /auth/login, and no cookie.
func TestConsoleLoginFailsAsLoginDoes(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, yes := p.owner(), true
	owner.call("POST", "/org/members", v1.MemberIn{Email: "new@table.test", Role: "operator", Password: ownerPassword, MustChangePassword: &yes}).want(http.StatusCreated)
	for _, in := range []v1.LoginIn{{Email: ownerEmail, Password: "wrong"}, {Email: "nobody@table.test", Password: ownerPassword}, {}} {
		want, got := p.nobody().call("POST", "/auth/login", in), p.nobody().call("POST", "/auth/cookie", in)
		if want.status != got.status || want.plain() != got.plain() || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%+v: %d %s", in, got.status, got.body)
		}
	}
	// The page lets its person choose a password, with the token for that alone.
	a := p.nobody().call("POST", "/auth/cookie", v1.LoginIn{Email: "new@table.test", Password: ownerPassword}).want(http.StatusUnauthorized, "PASSWORD_CHANGE_REQUIRED")
	if a.header.Get("Set-Cookie") != "" {
		t.Error("a login that may only change its password got a cookie")
	}
	var e v1.Error
	must(t, json.Unmarshal(a.body, &e))
	p.nobody().with(e.AccessToken).call("PUT", "/me/password", v1.PasswordIn{NewPassword: "chosen by myself"}).want(http.StatusNoContent)
	p.browser("new@table.test", "chosen by myself")
}

// A page of another site makes the browser send requests, with the cookie.
func TestOtherSitesCannotActInTheConsole(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	b, other := p.browser(ownerEmail, ownerPassword), p.browser(ownerEmail, ownerPassword)
	body := v1.SafeIn{Name: "Forged"}
	forged := func(csrf string, headers ...string) answer {
		t.Helper()
		c := b.as(t)
		c.csrf = csrf
		return c.call("POST", "/safes", body, headers...)
	}
	for name, a := range map[string]answer{
		"no token":               forged(""),
		"another login's token":  forged(other.csrf),
		"the login as the token": forged(b.cookie),
		"another site":           forged(b.csrf, "Origin", "https://evil.example"),
		"no origin to speak of":  forged(b.csrf, "Origin", "null"),
		"a name that begins so":  forged(b.csrf, "Origin", p.base+".evil.example"),
		"a cross-site fetch":     forged(b.csrf, "Sec-Fetch-Site", "cross-site"),
		"a neighbour's page":     forged(b.csrf, "Sec-Fetch-Site", "same-site"),
		"a change, typed in":     forged(b.csrf, "Sec-Fetch-Site", "none"),
	} {
		if a.status != http.StatusForbidden || a.code() != "FORBIDDEN" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for _, method := range []string{"PATCH", "PUT", "DELETE"} {
		c := b.as(t)
		c.csrf = ""
		path := map[string]string{"PATCH": "/me", "PUT": "/me/password", "DELETE": "/auth/cookie"}[method]
		c.call(method, path, map[string]any{"name": "x", "new_password": "x"}).want(http.StatusForbidden, "FORBIDDEN")
	}
	// Reading has effects, too: a replay is noted in its reader's name.
	b.call("GET", "/safes", nil, "Sec-Fetch-Site", "cross-site").want(http.StatusForbidden, "FORBIDDEN")
	b.call("GET", "/safes", nil, "Sec-Fetch-Site", "none").want(http.StatusOK)
	// Nobody is signed in as somebody else by a page that they visit.
	in := v1.LoginIn{Email: ownerEmail, Password: ownerPassword}
	p.nobody().call("POST", "/auth/cookie", in, "Origin", "https://evil.example").want(http.StatusForbidden, "FORBIDDEN")
	p.nobody().call("POST", "/auth/cookie", in, "Sec-Fetch-Site", "cross-site").want(http.StatusForbidden, "FORBIDDEN")
	p.nobody().call("POST", "/auth/cookie", in, "Content-Type", "text/plain").want(http.StatusUnsupportedMediaType)
	// The console itself.
	forged(b.csrf, "Origin", p.base, "Sec-Fetch-Site", "same-origin").want(http.StatusCreated)
}

// The attacker chooses the login that the victim will use.
func TestSigningInNeverTakesOverALoginThatWasThere(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	b := p.browser(ownerEmail, ownerPassword)
	next := b.as(t)
	next.cookie = cookieOf(next.call("POST", "/auth/cookie", v1.LoginIn{Email: ownerEmail, Password: ownerPassword}).want(http.StatusOK))
	if next.cookie == b.cookie {
		t.Error("the login is the one that was there")
	}
	next.call("GET", "/me", nil).want(http.StatusOK)
	b.call("GET", "/me", nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
	// Two cookies of that name: one was planted.
	twice := next.as(t)
	twice.cookie = "x; __Host-vaultpam=" + next.cookie
	twice.call("GET", "/me", nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
}

func TestAuthorizationWinsOverTheCookie(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, b := p.owner(), p.browser(ownerEmail, ownerPassword)
	both := owner.as(t)
	both.cookie = b.cookie
	both.call("POST", "/safes", v1.SafeIn{Name: "By token"}).want(http.StatusCreated) // no CSRF token needed
	for _, authorization := range []string{"Bearer vps_wrong", "Basic b3duZXI6eA==", "Bearer", ""} {
		b.call("GET", "/me", nil, "Authorization", authorization).want(http.StatusUnauthorized, "TOKEN_INVALID")
	}
	pat := owner.pat(allScopes...)
	for _, token := range []string{owner.token, pat.token} {
		c := b.as(t)
		c.cookie = token
		c.call("GET", "/me", nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
	}
	b.with(b.cookie).call("GET", "/me", nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
}

// Somebody has a copy of the cookie.
func TestCopiedCookieIsWorthNothingOnceItsLoginHasEnded(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	dead := func(why string, c *caller) {
		t.Helper()
		for _, path := range []string{"/auth/cookie", "/me", "/safes"} {
			if a := c.call("GET", path, nil); a.status != http.StatusUnauthorized || a.code() != "TOKEN_INVALID" {
				t.Errorf("after %s: %s answers %d %s", why, path, a.status, a.body)
			}
		}
	}

	b := p.browser(ownerEmail, ownerPassword)
	a := b.call("DELETE", "/auth/cookie", nil).want(http.StatusNoContent)
	if set := a.header.Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-vaultpam=;") || !strings.Contains(set, "Max-Age=0") || !strings.Contains(set, "Path=/; Secure") {
		t.Errorf("the cookie stays: %q", set)
	}
	dead("signing out", b)
	b.call("DELETE", "/auth/cookie", nil).want(http.StatusUnauthorized)

	b = p.browser(ownerEmail, ownerPassword)
	for _, l := range read[[]v1.Login](b.call("GET", "/me/logins", nil)) {
		if l.Current {
			owner.call("DELETE", "/me/logins/"+l.ID, nil).want(http.StatusNoContent)
		}
	}
	dead("being revoked elsewhere", b)

	no := false
	person := read[v1.Member](owner.call("POST", "/org/members", v1.MemberIn{Email: "leaver@table.test", Role: "admin", Password: ownerPassword, MustChangePassword: &no}))
	b = p.browser(person.Email, ownerPassword)
	owner.call("POST", "/org/members/"+person.UserID+"/suspend", nil).want(http.StatusOK)
	dead("suspension", b)
	owner.call("POST", "/org/members/"+person.UserID+"/resume", nil).want(http.StatusOK)

	b, other := p.browser(person.Email, ownerPassword), p.browser(person.Email, ownerPassword)
	other.call("PUT", "/me/password", v1.PasswordIn{CurrentPassword: ownerPassword, NewPassword: "a new long password"}).want(http.StatusNoContent)
	dead("a change of the password elsewhere", b)
	other.call("GET", "/me", nil).want(http.StatusOK)
	owner.call("DELETE", "/org/members/"+person.UserID, nil).want(http.StatusNoContent)
	dead("removal", other)
}

func TestConsoleLoginsEndOnTime(t *testing.T) {
	t.Parallel()
	p := startServer(t, "--console-idle", "2s", "--console-ttl", "4s")
	used, unused := p.browser(ownerEmail, ownerPassword), p.browser(ownerEmail, ownerPassword)
	begin := time.Now()
	eventually(t, 10*time.Second, "the login that is used ends", func() bool {
		return used.call("GET", "/me", nil).status == http.StatusUnauthorized
	})
	if took := time.Since(begin); took < 3*time.Second {
		t.Errorf("it ended after %s, though it was used", took)
	}
	unused.call("GET", "/me", nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
	idle := startServer(t, "--console-idle", "1s")
	alone := idle.browser(ownerEmail, ownerPassword)
	eventually(t, 10*time.Second, "a page that asks by itself does not keep it alive", func() bool {
		return alone.call("GET", "/me", nil, "X-Background", "1").status == http.StatusUnauthorized
	})
}
