package script

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	virtual "github.com/descope/virtualwebauthn"

	v1 "vaultpam/api/v1"
	"vaultpam/test/provider"
)

// passkeyDevice is a device with one passkey.
type passkeyDevice struct {
	t    testing.TB
	rp   virtual.RelyingParty
	auth virtual.Authenticator
	cred virtual.Credential
}

// passkeyDevice makes one that works at the address of a dev server.
func (p *proc) passkeyDevice(user string) *passkeyDevice {
	u, err := url.Parse(p.base)
	must(p.t, err)
	return &passkeyDevice{
		t: p.t, rp: virtual.RelyingParty{Name: "VaultPAM", ID: "localhost", Origin: "http://localhost:" + u.Port()},
		auth: virtual.NewAuthenticatorWithOptions(virtual.AuthenticatorOptions{UserHandle: []byte(user)}), cred: virtual.NewCredential(virtual.KeyTypeEC2),
	}
}

// makes answers to what a browser was asked: a new key.
func (k *passkeyDevice) makes(options any) json.RawMessage {
	k.t.Helper()
	text, err := json.Marshal(options)
	must(k.t, err)
	parsed, err := virtual.ParseAttestationOptions(string(text))
	must(k.t, err)
	return json.RawMessage(virtual.CreateAttestationResponse(k.rp, k.auth, k.cred, *parsed))
}

// answers answers to what a browser was asked: a signature, with a count one
// higher.
func (k *passkeyDevice) answers(options any) string {
	k.t.Helper()
	text, err := json.Marshal(options)
	must(k.t, err)
	parsed, err := virtual.ParseAssertionOptions(string(text))
	must(k.t, err)
	k.cred.Counter++
	return virtual.CreateAssertionResponse(k.rp, k.auth, k.cred, *parsed)
}

// registers gives the caller a passkey, and codes on paper.
func (c *caller) makesPasskey(p *proc) (*passkeyDevice, v1.PasskeyMade) {
	c.t.Helper()
	k := p.passkeyDevice(c.id)
	begun := read[v1.NewPasskey](c.call("POST", "/me/mfa/webauthn", v1.TOTPIn{Label: "Blue key"}).want(http.StatusCreated))
	made := read[v1.PasskeyMade](c.call("POST", "/me/mfa/webauthn/finish", k.makes(begun.PublicKey)))
	if made.ID != begun.ID {
		c.t.Errorf("%s was begun, %s is made", begun.ID, made.ID)
	}
	return k, made
}

func TestPasskeyIsASecondFactorAndAFirst(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	who := p.owner().person(p, "mara@example.test", "operator")
	before := p.login(who.email, ownerPassword)
	key, made := who.makesPasskey(p)
	if made.Label != "Blue key" || made.Factor.Factor != "webauthn" || len(made.RecoveryCodes.RecoveryCodes) != 10 {
		t.Fatalf("%+v", made)
	}
	before.call("GET", "/me", nil).want(http.StatusUnauthorized, "TOKEN_INVALID") // it was made without

	// Behind the password.
	half := p.halfway(who.email, ownerPassword)
	if strings.Join(half.Factors, " ") != "webauthn recovery_code" || half.WebAuthn == nil {
		t.Fatalf("%+v", half)
	}
	answer := key.answers(half.WebAuthn)
	in := who.with(read[v1.Token](p.shows(half.MFAToken, "webauthn", answer)).AccessToken)
	p.shows(half.MFAToken, "webauthn", answer).want(http.StatusUnauthorized, "AUTH_FAILED")
	again := p.halfway(who.email, ownerPassword)
	p.shows(again.MFAToken, "webauthn", answer).want(http.StatusUnauthorized, "AUTH_FAILED") // it is to another challenge
	read[v1.Token](p.shows(again.MFAToken, "webauthn", key.answers(again.WebAuthn)))

	// To authenticate anew: for the login that asked, and once.
	asked := read[v1.PasskeyAsk](in.call("POST", "/auth/step-up/webauthn", nil))
	stepUp := v1.StepUpIn{Factor: "webauthn", MFAToken: asked.MFAToken, Code: key.answers(asked)}
	who.call("POST", "/auth/step-up", stepUp).want(http.StatusUnauthorized, "AUTH_FAILED")
	in.call("POST", "/auth/step-up", stepUp).want(http.StatusOK)
	in.call("POST", "/auth/step-up", stepUp).want(http.StatusUnauthorized, "AUTH_FAILED")
	in.call("POST", "/auth/step-up", v1.StepUpIn{Password: ownerPassword}).want(http.StatusUnprocessableEntity)

	// Alone, in the console.
	browser := p.nobody()
	sign := read[v1.PasskeyAsk](browser.call("POST", "/auth/cookie/passkey", nil))
	alone := v1.PasskeyIn{MFAToken: sign.MFAToken, Code: key.answers(sign)}
	a := browser.call("POST", "/auth/cookie/passkey/finish", alone)
	if me := read[v1.Me]((&caller{t: t, base: p.base, csrf: read[v1.ConsoleLogin](a).CSRFToken, cookie: cookieOf(a)}).call("GET", "/me", nil)); me.Email != who.email {
		t.Errorf("it signs in %s", me.Email)
	}
	p.nobody().call("POST", "/auth/cookie/passkey/finish", alone).want(http.StatusUnauthorized, "AUTH_FAILED")

	// Renamed, removed, and with it the codes on paper.
	if f := read[v1.Factor](in.call("PATCH", "/me/mfa/"+made.ID, v1.FactorIn{Label: "Old key"})); f.Label != "Old key" {
		t.Errorf("%+v", f)
	}
	in.call("DELETE", "/me/mfa/"+made.ID, nil).want(http.StatusNoContent)
	if mine := read[v1.Factors](in.call("GET", "/me/mfa", nil)); len(mine.Factors) != 0 || mine.RecoveryCodesLeft != 0 {
		t.Errorf("%+v", mine)
	}
	p.login(who.email, ownerPassword)
	sign = read[v1.PasskeyAsk](browser.call("POST", "/auth/cookie/passkey", nil))
	p.nobody().call("POST", "/auth/cookie/passkey/finish", v1.PasskeyIn{MFAToken: sign.MFAToken, Code: key.answers(sign)}).want(http.StatusUnauthorized, "AUTH_FAILED")
}

func TestAttackPasskeyOfSomebodyElse(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	alice, eve := owner.person(p, "alice@example.test", "operator"), owner.person(p, "eve@example.test", "operator")
	alices, _ := alice.makesPasskey(p)
	eves, _ := eve.makesPasskey(p)

	// Eve knows Alice's password, and shows her own key, also under Alice's name.
	half := p.halfway(alice.email, ownerPassword)
	p.shows(half.MFAToken, "webauthn", eves.answers(half.WebAuthn)).want(http.StatusUnauthorized, "AUTH_FAILED")
	posing := *eves
	posing.auth.Options.UserHandle, posing.cred.ID = []byte(alice.id), alices.cred.ID
	p.shows(half.MFAToken, "webauthn", posing.answers(half.WebAuthn)).want(http.StatusUnauthorized, "AUTH_FAILED")
	browser := p.nobody()
	for name, k := range map[string]*passkeyDevice{"under her key's name": &posing, "as Alice": {t: t, rp: eves.rp, auth: alices.auth, cred: eves.cred}} {
		sign := read[v1.PasskeyAsk](browser.call("POST", "/auth/cookie/passkey", nil))
		browser.call("POST", "/auth/cookie/passkey/finish", v1.PasskeyIn{MFAToken: sign.MFAToken, Code: k.answers(sign)}).want(http.StatusUnauthorized, "AUTH_FAILED")
		_ = name
	}

	// A page that looks like ours passes on what Alice's browser is asked there.
	phished := *alices
	phished.rp.Origin = "https://pam.example.evil"
	p.shows(half.MFAToken, "webauthn", phished.answers(half.WebAuthn)).want(http.StatusUnauthorized, "AUTH_FAILED")

	// A copy of Alice's key, whose count is behind.
	alices.cred.Counter += 10
	fresh := p.halfway(alice.email, ownerPassword)
	read[v1.Token](p.shows(fresh.MFAToken, "webauthn", alices.answers(fresh.WebAuthn)))
	copied := *alices
	copied.cred.Counter -= 5
	fresh = p.halfway(alice.email, ownerPassword)
	p.shows(fresh.MFAToken, "webauthn", copied.answers(fresh.WebAuthn)).want(http.StatusUnauthorized, "AUTH_FAILED")

	// The same key for a second person, and an answer to nothing.
	begun := read[v1.NewPasskey](eve.call("POST", "/me/mfa/webauthn", nil).want(http.StatusCreated))
	eve.call("POST", "/me/mfa/webauthn/finish", alices.makes(begun.PublicKey)).want(http.StatusConflict)
	eve.call("POST", "/me/mfa/webauthn/finish", json.RawMessage(`{}`)).want(http.StatusUnprocessableEntity)
	eve.call("DELETE", "/me/mfa/"+read[v1.Factors](alice.call("GET", "/me/mfa", nil)).Factors[0].ID, nil).want(http.StatusNotFound)

	// Suspended, nobody signs in by any key.
	owner.call("POST", "/org/members/"+alice.id+"/suspend", nil).want(http.StatusOK)
	sign := read[v1.PasskeyAsk](browser.call("POST", "/auth/cookie/passkey", nil))
	browser.call("POST", "/auth/cookie/passkey/finish", v1.PasskeyIn{MFAToken: sign.MFAToken, Code: alices.answers(sign)}).want(http.StatusUnauthorized, "AUTH_FAILED")
}

var shownLink = regexp.MustCompile(`http://localhost:\d+/device\?code=([A-Z]{4}-[A-Z]{4})`)

// Whoever has only a passkey confirms a native connection in the console: they
// alone, with the key, and while it waits.
func TestSSHWaitsForAPasskeyInTheConsole(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	who, other := owner.person(p, "nora@example.test", "operator"), owner.person(p, "eve@example.test", "operator")
	owner.joins(owner.safe("Demo").ID, who, "operator")
	key, _ := who.makesPasskey(p)
	waits := func() (*sshRun, string) {
		ssh := p.interactive(t, who.email+"+demo", map[string]string{"assword": ownerPassword}, "echo in by key")
		var code []string
		eventually(t, 20*time.Second, "a link is shown", func() bool {
			code = shownLink.FindStringSubmatch(ssh.errs.String())
			return code != nil
		})
		return ssh, code[1]
	}

	ssh, code := waits()
	other.call("GET", "/auth/device/"+code, nil).want(http.StatusNotFound)
	other.call("POST", "/auth/device/"+code+"/approve", nil).want(http.StatusNotFound)
	if d := read[v1.DeviceRequest](who.call("GET", "/auth/device/"+code, nil)); d.Kind != "connection" || d.ClientIP != "127.0.0.1" {
		t.Errorf("%+v", d)
	}
	half := p.halfway(who.email, ownerPassword)
	in := who.with(read[v1.Token](p.shows(half.MFAToken, "webauthn", key.answers(half.WebAuthn))).AccessToken)
	in.call("POST", "/auth/device/"+code+"/approve", nil).want(http.StatusOK)
	if status := ssh.wait(); status != 0 || !strings.Contains(ssh.out.String(), "in by key") {
		t.Fatalf("%d %s %s", status, ssh.out, ssh.errs)
	}
	in.call("POST", "/auth/device/"+code+"/approve", nil).want(http.StatusNotFound)

	ssh, code = waits()
	in.call("POST", "/auth/device/"+code+"/deny", nil).want(http.StatusOK)
	if status := ssh.wait(); status == 0 || strings.Contains(ssh.out.String(), "in by key") {
		t.Errorf("%d %s", status, ssh.out)
	}
}

// Who runs a provider that somebody is linked to can sign in as them there, and
// says that a second factor was shown. With their password, too, it is not
// enough for a connection.
func TestAttackProviderThatConfirmsAConnection(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	who := owner.person(p, "nora@example.test", "operator")
	owner.joins(owner.safe("Demo").ID, who, "operator")
	made := owner.believes(idp, func(in *v1.SSOProviderIn) { in.TrustMFA = true })
	p.links(who, idp, made.ID, "nora")
	who.makesPasskey(p)
	idp.Person("nora", who.email, map[string]any{"amr": []string{"mfa"}})
	vouched := p.vouched(idp, owner.slug(), made.ID)
	ssh := p.interactive(t, who.email+"+demo", map[string]string{"assword": ownerPassword}, "echo in by word")
	var code []string
	eventually(t, 20*time.Second, "a link is shown", func() bool {
		code = shownLink.FindStringSubmatch(ssh.errs.String())
		return code != nil
	})
	vouched.call("POST", "/auth/device/"+code[1]+"/approve", nil).want(http.StatusForbidden)
	vouched.call("POST", "/auth/device/"+code[1]+"/deny", nil).want(http.StatusOK)
	if status := ssh.wait(); status == 0 || strings.Contains(ssh.out.String(), "in by word") {
		t.Errorf("%d %s", status, ssh.out)
	}
}
