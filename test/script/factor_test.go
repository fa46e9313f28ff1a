package script

import (
	"encoding/base32"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/totp"
	"vaultpam/test/target"
)

// errorOf is the refusal with its further fields.
func errorOf(a answer) v1.Error {
	var e v1.Error
	_ = json.Unmarshal(a.body, &e)
	return e
}

// app is an authenticator app.
type app struct {
	t      testing.TB
	secret []byte
	step   int64 // of the code that it showed last
}

// next is a code that was not shown yet: the app's clock may be a little wrong.
func (a *app) next() string {
	a.t.Helper()
	now := totp.Step(time.Now())
	a.step = max(a.step+1, now-totp.Skew)
	eventually(a.t, 2*time.Minute, "the time of another code comes", func() bool { return a.step <= totp.Step(time.Now())+totp.Skew })
	return totp.Code(a.secret, a.step)
}

// wrong is a code that is right at no time near.
func (a *app) wrong() string {
	for _, code := range []string{"000000", "111111", "222222", "333333", "444444", "555555", "666666"} {
		right := false
		for s := totp.Step(time.Now()) - 4; s < totp.Step(time.Now())+5; s++ {
			right = right || totp.Code(a.secret, s) == code
		}
		if !right {
			return code
		}
	}
	a.t.Fatal("every code is right")
	return ""
}

// enrols gives the caller an authenticator app, and codes on paper.
func (c *caller) enrols() (*app, []string) {
	c.t.Helper()
	begun := read[v1.TOTP](c.call("POST", "/me/mfa/totp", nil).want(http.StatusCreated))
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(begun.Secret)
	must(c.t, err)
	a := &app{t: c.t, secret: secret}
	if !strings.HasPrefix(begun.OtpauthURL, "otpauth://totp/VaultPAM:") || !strings.Contains(begun.OtpauthURL, begun.Secret) {
		c.t.Errorf("%+v", begun)
	}
	return a, read[v1.RecoveryCodes](c.call("POST", "/me/mfa/totp/confirm", v1.TOTPConfirmIn{Code: a.next()})).RecoveryCodes
}

// halfway is a sign-in that waits for a factor.
func (p *proc) halfway(email, password string) v1.Error {
	p.t.Helper()
	a := p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: email, Password: password}).want(http.StatusUnauthorized, "MFA_REQUIRED")
	return errorOf(a)
}

func (p *proc) shows(mfaToken, factor, code string) answer {
	return p.nobody().call("POST", "/auth/mfa", v1.MFAIn{MFAToken: mfaToken, Factor: factor, Code: code})
}

func TestSignInWithASecondFactor(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	who := owner.person(p, "mara@example.test", "operator")
	other := p.login(who.email, ownerPassword)
	app, paper := who.enrols()
	if len(paper) != 10 {
		t.Fatalf("%d codes on paper", len(paper))
	}
	other.call("GET", "/me", nil).want(http.StatusUnauthorized, "TOKEN_INVALID") // it was made without
	mine := read[v1.Factors](who.call("GET", "/me/mfa", nil))
	if len(mine.Factors) != 1 || mine.Factors[0].Factor != "totp" || mine.RecoveryCodesLeft != 10 {
		t.Errorf("%+v", mine)
	}
	half := p.halfway(who.email, ownerPassword)
	if half.MFAToken == "" || strings.Join(half.Factors, " ") != "totp recovery_code" || half.AccessToken != "" {
		t.Errorf("%+v", half)
	}
	p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: who.email, Password: "something else entirely"}).want(http.StatusUnauthorized, "AUTH_FAILED")
	p.shows(half.MFAToken, "totp", app.wrong()).want(http.StatusUnauthorized, "AUTH_FAILED")
	code := app.next()
	in := who.with(read[v1.Token](p.shows(half.MFAToken, "totp", code)).AccessToken)
	in.call("GET", "/me", nil).want(http.StatusOK)
	p.shows(half.MFAToken, "totp", app.next()).want(http.StatusUnauthorized, "AUTH_FAILED") // the sign-in is over
	again := p.halfway(who.email, ownerPassword)
	p.shows(again.MFAToken, "totp", code).want(http.StatusUnauthorized, "AUTH_FAILED") // the code has served
	// A code on paper, however it is typed, once.
	p.shows(again.MFAToken, "recovery_code", strings.ToUpper(strings.ReplaceAll(paper[0], "-", " "))).want(http.StatusOK)
	p.shows(p.halfway(who.email, ownerPassword).MFAToken, "recovery_code", paper[0]).want(http.StatusUnauthorized, "AUTH_FAILED")

	// A step-up is by the factor; the password alone does not do any more.
	in.call("POST", "/auth/step-up", v1.StepUpIn{Password: ownerPassword}).want(http.StatusUnprocessableEntity)
	in.call("POST", "/auth/step-up", v1.StepUpIn{Factor: "totp", Code: app.wrong()}).want(http.StatusUnauthorized, "AUTH_FAILED")
	in.call("POST", "/auth/step-up", v1.StepUpIn{Factor: "recovery_code", Code: paper[1]}).want(http.StatusOK)
	fresh := read[v1.RecoveryCodes](in.call("POST", "/me/mfa/recovery-codes", nil)).RecoveryCodes
	p.shows(p.halfway(who.email, ownerPassword).MFAToken, "recovery_code", paper[2]).want(http.StatusUnauthorized, "AUTH_FAILED")
	p.shows(p.halfway(who.email, ownerPassword).MFAToken, "recovery_code", fresh[2]).want(http.StatusOK)

	home := t.TempDir()
	if out, errs, status := run(t, []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "VAULTPAM_EMAIL=" + who.email, "VAULTPAM_PASSWORD=" + ownerPassword}, fresh[4]+"\n", binary(t), "login", p.base); status != 0 || !strings.Contains(errs, "Signed in as mara@") {
		t.Errorf("the command line: %d %s%s", status, out, errs)
	}

	// By SSH the code is asked for behind the password.
	safe := owner.safe("Demo")
	owner.joins(safe.ID, who, "operator")
	ssh := p.interactive(t, who.email+"+demo", map[string]string{"assword": ownerPassword, "erification": fresh[3]}, "echo in by two")
	if status := ssh.wait(); status != 0 || !strings.Contains(ssh.out.String(), "in by two") {
		t.Errorf("%d %s%s", status, ssh.out, ssh.errs)
	}
	if wrong := p.interactive(t, who.email+"+demo", map[string]string{"assword": ownerPassword, "erification": app.wrong()}, "echo in by one"); wrong.wait() == 0 || strings.Contains(wrong.out.String(), "in by one") {
		t.Errorf("in without a code: %s", wrong.out)
	}

	// Without factors the password is enough again.
	factor := read[v1.Factors](in.call("GET", "/me/mfa", nil)).Factors[0].ID
	in.call("DELETE", "/me/mfa/"+factor, nil).want(http.StatusNoContent)
	p.login(who.email, ownerPassword)
}

// An organization that demands a second factor lets nobody in without one; who
// has none enrols at the door.
func TestOrganizationDemandsASecondFactor(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	who := owner.person(p, "mara@example.test", "operator")
	owner.call("PATCH", "/org", map[string]any{"mfa_required": true}).want(http.StatusOK)
	for _, c := range []*caller{owner, who} {
		c.call("GET", "/safes", nil).want(http.StatusForbidden, "STEP_UP_REQUIRED")
		c.call("GET", "/me", nil).want(http.StatusOK)
	}
	door := errorOf(p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: who.email, Password: ownerPassword}).want(http.StatusUnauthorized, "MFA_ENROLMENT_REQUIRED"))
	enrolling := who.with(door.AccessToken)
	for _, path := range []string{"/me", "/safes", "/org/memberships"} {
		enrolling.call("GET", path, nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
	}
	enrolling.call("PUT", "/me/password", v1.PasswordIn{NewPassword: "another one of theirs"}).want(http.StatusUnauthorized, "TOKEN_INVALID")
	app, paper := enrolling.enrols()
	enrolling.call("GET", "/me/mfa", nil).want(http.StatusUnauthorized, "TOKEN_INVALID") // it has done what it was for
	in := who.with(read[v1.Token](p.shows(p.halfway(who.email, ownerPassword).MFAToken, "totp", app.next())).AccessToken)
	in.call("GET", "/safes", nil).want(http.StatusOK)
	// A login of before is as good once it has shown the factor.
	mine, _ := owner.enrols()
	owner.call("GET", "/safes", nil).want(http.StatusOK)

	// An administrator takes the factors of somebody who has lost theirs away,
	// and everything opened with them goes.
	owner.call("POST", "/org/members/"+who.id+"/reset-mfa", nil).want(http.StatusOK)
	in.call("GET", "/me", nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
	p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: who.email, Password: ownerPassword}).want(http.StatusUnauthorized, "MFA_ENROLMENT_REQUIRED")
	for _, typ := range []string{"MFA_RESET", "MFA_SESSIONS_INVALIDATED", "MFA_FACTOR_ADDED", "MFA_CHALLENGE_TRIGGERED", "MFA_VERIFICATION_SUCCEEDED"} {
		if len(owner.events(typ)) == 0 {
			t.Errorf("%s is not on record", typ)
		}
	}
	// No secret and no code is anywhere in what the server has kept.
	_ = mine
	for name, mark := range map[string]string{"the secret as text": totp.Text(app.secret), "the secret": string(app.secret), "a code on paper": paper[4]} {
		p.nowhere(t, name, mark)
	}
}

// A policy and a Safe may demand a factor by themselves.
func TestPolicyDemandsASecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo := w.founder.safe("Demo").Bindings[0]
	safe := read[v1.Safe](w.founder.call("POST", "/safes", v1.SafeIn{Name: "Strong", Bindings: []v1.Binding{demo}})).ID
	who := w.who["operator"]
	w.founder.joins(safe, who, "operator")
	w.founder.rule(v1.PolicyIn{Name: "Two factors", Action: "allow", SafeIDs: []string{safe}, Conditions: v1.PolicyConditions{MFARequired: true}})
	launch := func(c *caller) answer { return c.call("POST", "/sessions", v1.SessionIn{SafeID: safe}) }
	launch(who).want(http.StatusForbidden, "STEP_UP_REQUIRED")
	_, paper := who.enrols()
	launch(who).want(http.StatusCreated)
	launch(who.pat("sessions:launch")).want(http.StatusForbidden, "STEP_UP_REQUIRED")
	ssh := w.p.interactive(t, who.email+"+strong", map[string]string{"assword": ownerPassword, "erification": paper[0]}, "echo strong")
	if status := ssh.wait(); status != 0 || !strings.Contains(ssh.out.String(), "strong") {
		t.Errorf("%d %s%s", status, ssh.out, ssh.errs)
	}
}

// Who knows the password alone does not get in by any number of tries.
func TestAttackSecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, who := w.p, w.who["operator"]
	app, paper := who.enrols()
	t.Log("wrong codes, beyond what one sign-in takes")
	half := p.halfway(who.email, ownerPassword)
	for range 5 {
		p.shows(half.MFAToken, "totp", app.wrong()).want(http.StatusUnauthorized, "AUTH_FAILED")
	}
	p.shows(half.MFAToken, "totp", app.next()).want(http.StatusUnauthorized, "AUTH_FAILED")
	t.Log("the password between the wrong codes, to begin counting anew")
	for range 6 {
		_ = p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: who.email, Password: ownerPassword})
		p.shows(half.MFAToken, "totp", app.wrong())
	}
	locked := p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: who.email, Password: ownerPassword})
	fresh := errorOf(locked)
	for range 5 { // with the five of before: ten in a row
		if fresh.MFAToken != "" {
			p.shows(fresh.MFAToken, "totp", app.wrong()).want(http.StatusUnauthorized, "AUTH_FAILED")
		}
		locked = p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: who.email, Password: ownerPassword})
		fresh = errorOf(locked)
	}
	locked.want(http.StatusUnauthorized, "AUTH_FAILED") // the account is locked for this source
	waiting := func() (half v1.Error) {
		eventually(t, 30*time.Second, "the lock ends", func() bool {
			half = errorOf(p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: who.email, Password: ownerPassword}))
			return half.Error == "MFA_REQUIRED"
		})
		return half
	}
	fine := waiting()
	t.Log("the half sign-in as a token")
	who.with(fine.MFAToken).call("GET", "/me", nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
	t.Log("somebody else's code")
	theirs, _ := w.who["viewer"].enrols()
	p.shows(fine.MFAToken, "totp", theirs.next()).want(http.StatusUnauthorized, "AUTH_FAILED")
	t.Log("one code in two sign-ins at once")
	fine, second := waiting(), waiting()
	code := app.next()
	var wg sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for _, token := range []string{fine.MFAToken, second.MFAToken, fine.MFAToken, second.MFAToken} {
		wg.Go(func() {
			if p.shows(token, "totp", code).status == http.StatusOK {
				mu.Lock()
				defer mu.Unlock()
				in++
			}
		})
	}
	wg.Wait()
	if in != 1 {
		t.Errorf("one code lets in %d", in)
	}
	t.Log("a token that touches factors")
	pat := w.who["pat+"]
	for _, path := range []string{"/me/mfa/totp", "/me/mfa/recovery-codes"} {
		pat.call("POST", path, nil).want(http.StatusForbidden)
	}
	pat.call("GET", "/me/mfa", nil).want(http.StatusForbidden)
	t.Log("another organization takes the factors of somebody away")
	w.foreign.call("POST", "/org/members", v1.MemberIn{Email: who.email, Role: "operator"}).want(http.StatusCreated)
	w.foreign.call("POST", "/org/members/"+who.id+"/reset-mfa", nil).want(http.StatusForbidden)
	t.Log("the console's sign-in ended as a program's")
	consoles := errorOf(p.nobody().call("POST", "/auth/cookie", v1.LoginIn{Email: who.email, Password: ownerPassword}).want(http.StatusUnauthorized, "MFA_REQUIRED"))
	p.shows(consoles.MFAToken, "recovery_code", paper[0]).want(http.StatusUnauthorized, "AUTH_FAILED")
	if a := p.nobody().call("POST", "/auth/cookie/mfa", v1.MFAIn{MFAToken: consoles.MFAToken, Factor: "recovery_code", Code: paper[0]}).want(http.StatusOK); !strings.HasPrefix(a.header.Get("Set-Cookie"), "__Host-vaultpam=") {
		t.Error("there is no cookie")
	}
}

// interactive runs the system's ssh client, which asks a program of ours: to a
// question that holds a key of answers it gets the value.
func (p *proc) interactive(t testing.TB, user string, answers map[string]string, command string) *sshRun {
	t.Helper()
	ssh := target.Need(t, "ssh")
	host, port, err := net.SplitHostPort(p.ssh)
	must(t, err)
	text := "#!/bin/sh\ncase \"$1\" in\n"
	for question, answer := range answers {
		text += "*" + question + "*) echo '" + answer + "';;\n"
	}
	ask := filepath.Join(t.TempDir(), "ask")
	must(t, os.WriteFile(ask, []byte(text+"esac\n"), 0o700))
	s := &sshRun{t: t, out: &output{}, errs: &output{}, done: make(chan struct{})}
	s.cmd = exec.Command(ssh, "-F", "none", "-p", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "PubkeyAuthentication=no",
		"-o", "PreferredAuthentications=password,keyboard-interactive", "-o", "NumberOfPasswordPrompts=1", "-l", user, host, command)
	s.cmd.Env = append(os.Environ(), "SSH_ASKPASS="+ask, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=none")
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.errs
	must(t, s.cmd.Start())
	go func() { // ends with the client
		_ = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.done
	})
	return s
}

// nowhere looks for a mark in all that the server has written.
func (p *proc) nowhere(t testing.TB, name, mark string) {
	t.Helper()
	m := &marks{t: t}
	m.add(name, mark, []byte(mark))
	m.look("the log", []byte(p.stdout.String()+p.stderr.String()))
	must(t, filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil {
			m.look(path, text)
		}
		return err
	}))
}
