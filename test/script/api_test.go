package script

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// caller is somebody who calls the API.
type caller struct {
	t     testing.TB
	name  string
	base  string
	token string
	org   string // X-Active-Org-Id; empty: not sent
	// A browser with a login of the console has these in place of the token.
	cookie, csrf string
	id           string // the user's
	email        string
}

// answer is what the API answered, read to its end.
type answer struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   []byte
}

// web does not follow redirects and keeps few connections.
var web = &http.Client{
	Timeout:       30 * time.Second,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 5 * time.Second},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// call sends one request. body is nil, a string that is sent as it is, or
// what is sent as JSON. headers are pairs of name and value.
func (c *caller) call(method, path string, body any, headers ...string) answer {
	c.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		must(c.t, err)
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+"/api/v1"+path, r)
	must(c.t, err)
	if r != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.cookie != "" {
		req.Header.Set("Cookie", "__Host-vaultpam="+c.cookie)
	}
	if c.csrf != "" {
		req.Header.Set("X-CSRF-Token", c.csrf)
	}
	if c.org != "" {
		req.Header.Set("X-Active-Org-Id", c.org)
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := web.Do(req)
	must(c.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(c.t, err)
	return answer{t: c.t, what: c.name + ": " + method + " " + path, status: resp.StatusCode, header: resp.Header, body: text}
}

// want fails the test unless the answer has this status and, if given, this
// code.
func (a answer) want(status int, code ...string) answer {
	a.t.Helper()
	if a.status != status || len(code) > 0 && a.code() != code[0] {
		a.t.Fatalf("%s: %d %s, want %d %v", a.what, a.status, tail(string(a.body), 500), status, code)
	}
	return a
}

// code is the constant of a refusal.
func (a answer) code() string {
	var e v1.Error
	_ = json.Unmarshal(a.body, &e)
	return e.Error
}

// plain is the body without what differs between two requests by design.
func (a answer) plain() string {
	var e map[string]any
	if json.Unmarshal(a.body, &e) != nil {
		return string(a.body)
	}
	delete(e, "request_id")
	text, _ := json.Marshal(e)
	return string(text)
}

// read decodes an answer of success.
func read[T any](a answer) T {
	a.t.Helper()
	var out T
	if a.status >= 300 {
		a.t.Fatalf("%s: %d %s", a.what, a.status, tail(string(a.body), 500))
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, tail(string(a.body), 500))
	}
	return out
}

// nobody calls without a token.
func (p *proc) nobody() *caller { return &caller{t: p.t, name: "nobody", base: p.base} }

// login signs in and fills in who that is.
func (p *proc) login(email, password string) *caller {
	p.t.Helper()
	c := &caller{t: p.t, name: email, base: p.base, email: email}
	token := read[v1.Token](c.call("POST", "/auth/login", v1.LoginIn{Email: email, Password: password}))
	c.token = token.AccessToken
	c.id = read[v1.Me](c.call("GET", "/me", nil)).ID
	c.org = read[v1.Memberships](c.call("GET", "/org/memberships", nil)).ActiveOrgID
	return c
}

// browser signs in to the console.
func (p *proc) browser(email, password string) *caller {
	p.t.Helper()
	c := &caller{t: p.t, name: "browser of " + email, base: p.base, email: email}
	a := c.call("POST", "/auth/cookie", v1.LoginIn{Email: email, Password: password})
	c.csrf = read[v1.ConsoleLogin](a).CSRFToken
	c.cookie = cookieOf(a)
	c.id = read[v1.Me](c.call("GET", "/me", nil)).ID
	c.org = read[v1.Memberships](c.call("GET", "/org/memberships", nil)).ActiveOrgID
	return c
}

// cookieOf is the value of the login cookie that an answer sets.
func cookieOf(a answer) string {
	a.t.Helper()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == "__Host-vaultpam" {
			return c.Value
		}
	}
	a.t.Fatalf("%s sets no cookie", a.what)
	return ""
}

// owner signs in as the owner that dev mode made.
func (p *proc) owner() *caller { return p.login(ownerEmail, ownerPassword) }

// as is a copy for another test.
func (c *caller) as(t testing.TB) *caller {
	d := *c
	d.t = t
	return &d
}

// with is a copy that carries another token.
func (c *caller) with(token string) *caller {
	d := *c
	d.token = token
	return &d
}

// pat makes a personal access token of the caller and returns a caller that
// uses it.
func (c *caller) pat(scopes ...string) *caller {
	c.t.Helper()
	made := read[v1.PersonalAccessToken](c.call("POST", "/personal-access-tokens", v1.PersonalAccessTokenIn{Name: "script", Scopes: scopes, ExpiresInDays: 1}))
	d := c.with(made.Token)
	d.name = c.name + " with a token"
	return d
}

// person adds a person to the caller's organization and signs them in.
func (c *caller) person(p *proc, email, role string) *caller {
	c.t.Helper()
	no := false
	c.call("POST", "/org/members", v1.MemberIn{Email: email, Role: role, Password: ownerPassword, MustChangePassword: &no}).want(http.StatusCreated)
	return p.login(email, ownerPassword)
}

// joins gives somebody a role in a Safe and returns the membership's id.
func (c *caller) joins(safe string, who *caller, role string) string {
	c.t.Helper()
	return read[v1.SafeMember](c.call("POST", "/safes/"+safe+"/members", v1.SafeMemberIn{UserID: who.id, Role: role})).ID
}

// safe finds a Safe by its name.
func (c *caller) safe(name string) v1.Safe {
	c.t.Helper()
	for _, s := range read[[]v1.Safe](c.call("GET", "/safes", nil)) {
		if s.Name == name {
			return s
		}
	}
	c.t.Fatalf("%s sees no Safe %q", c.name, name)
	return v1.Safe{}
}

// organization makes another organization, whose owner has this e-mail, and
// signs its owner in. The caller has to administer the instance.
func (c *caller) organization(p *proc, name, email string) *caller {
	c.t.Helper()
	const first = "chosen-by-somebody-else"
	c.call("POST", "/organizations", v1.OrganizationIn{Name: name, OwnerEmail: email, OwnerPassword: first}).want(http.StatusCreated)
	refused := p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: email, Password: first}).want(http.StatusUnauthorized, "PASSWORD_CHANGE_REQUIRED")
	var e v1.Error
	must(c.t, json.Unmarshal(refused.body, &e))
	p.nobody().with(e.AccessToken).call("PUT", "/me/password", v1.PasswordIn{NewPassword: ownerPassword}).want(http.StatusNoContent)
	return p.login(email, ownerPassword)
}
