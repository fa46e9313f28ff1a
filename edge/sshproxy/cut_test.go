package sshproxy_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
	"vaultpam/pam/session"
	"vaultpam/test/target"
)

// busy starts a client that prints a line and then waits.
func (w *world) busy(args ...string) *client {
	w.t.Helper()
	r, _, err := os.Pipe()
	w.must(err)
	c := start(w.t, w.cmd("alice@example.com+web", append(args, "echo ready; sleep 60")...), r)
	eventually(w.t, 10*time.Second, "the command runs", func() bool { return strings.Contains(c.out.String(), "ready") })
	return c
}

func TestWhatASessionRestsOnCutsItWithinASecond(t *testing.T) {
	for name, c := range map[string]struct {
		cut    func(t *testing.T, w *world) error
		says   string
		reason string
	}{
		"terminated": {func(t *testing.T, w *world) error {
			_, err := w.sessions.Terminate(t.Context(), w.owner, w.last().ID, "deploy freeze")
			return err
		}, "terminated by owner@example.com: deploy freeze", "terminated by owner@example.com: deploy freeze"},
		"locked": {func(t *testing.T, w *world) error {
			_, err := w.safes.Lock(t.Context(), w.owner, w.safe.ID)
			return err
		}, "the safe was locked", "safe locked"},
		"removed": {func(t *testing.T, w *world) error {
			return w.safes.RemoveMember(t.Context(), w.owner, w.safe.ID, w.member.ID)
		}, "your access to the safe was removed", "access removed"},
		"suspended": {func(t *testing.T, w *world) error {
			_, err := w.orgs.Suspend(t.Context(), w.owner, w.alice.User)
			return err
		}, "no longer an active member", "organization membership ended"},
		"unbound": {func(t *testing.T, w *world) error {
			w.change(func(s *safe.Settings) { s.Bindings = nil })
			return nil
		}, "no longer grants this account", "binding removed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			client := w.busy()
			began := time.Now()
			if err := c.cut(t, w); err != nil {
				t.Fatal(err)
			}
			r := wait(t, client)
			if took := time.Since(began); took > time.Second {
				t.Errorf("it took %s", took)
			}
			if r.code != 255 || !strings.Contains(r.err, c.says) {
				t.Errorf("the client was told: %+v", r)
			}
			if s := w.over(); s.EndReason != c.reason || s.Status != session.Ended {
				t.Errorf("on record: %+v", s)
			}
		})
	}
}

func TestRemovedKeyCutsWhatItOpened(t *testing.T) {
	w := newWorld(t)
	path, _ := w.newKey(&w.alice)
	byKey := w.busy("-o", "PreferredAuthentications=publickey", "-o", "IdentitiesOnly=yes", "-i", path)
	keyed := w.last()
	w.busy()
	keys, err := w.ids.SSHKeys(t.Context(), w.alice)
	w.must(err)
	if len(keys) != 1 || keyed.AuthID != string(keys[0].ID) || w.last().AuthID != "" {
		t.Fatalf("%+v opened %+v and %+v", keys, keyed, w.last())
	}
	w.must(w.ids.RemoveSSHKey(t.Context(), w.alice, keys[0].ID))
	if r := wait(t, byKey); r.code != 255 || !strings.Contains(r.err, "This session was ended: its key was revoked.") {
		t.Errorf("%+v", r)
	}
	if s := w.last(); !s.Status.Open() || s.KillReason != "" {
		t.Errorf("a session by password: %+v", s)
	}
}

func TestNewPasswordCutsWhatTheOldOneOpened(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	path, _ := w.newKey(&w.alice)
	byKey := w.busy("-o", "PreferredAuthentications=publickey", "-o", "IdentitiesOnly=yes", "-i", path)
	keyed := w.last()
	byPassword := w.busy()
	r, err := w.ids.Login(ctx, w.alice.Email, secret.FromString(password), identity.Client{})
	w.must(err)
	token := string(r.Token.Expose())
	a, err := w.ids.Authenticate(ctx, token, "", identity.Client{})
	w.must(err)
	w.must(w.ids.ChangePassword(ctx, a, token, secret.FromString(password), secret.FromString("another password"), identity.Client{}))
	if r := wait(t, byPassword); r.code != 255 || !strings.Contains(r.err, "This session was ended: the password was changed.") {
		t.Errorf("%+v", r)
	}
	s, err := w.db.SessionByID(ctx, keyed.Org, keyed.ID)
	w.must(err)
	if !s.Status.Open() || s.KillReason != "" {
		t.Errorf("a session by key: %+v", s)
	}
	w.must(w.ids.RemoveSSHKey(ctx, a, pam.KeyID(keyed.AuthID)))
	wait(t, byKey)
}

func TestTimeAndSilenceEndASessionAfterAWarning(t *testing.T) {
	w := newWorld(t)
	c := w.busy("-tt")
	w.clock.ahead.Store(int64(14*time.Minute + 30*time.Second))
	eventually(t, 5*time.Second, "a warning", func() bool {
		return strings.Contains(c.out.String(), "This session ends in 30 seconds: nothing was typed.")
	})
	w.clock.ahead.Store(int64(16 * time.Minute))
	r := wait(t, c)
	if r.code != 255 || !strings.Contains(r.out+r.err, "it was idle for 15 minutes") {
		t.Errorf("%+v", r)
	}
	if s := w.over(); s.EndReason != "idle timeout" {
		t.Errorf("on record: %+v", s)
	}
}

func TestHostKeyIsVerifiedBeforeTheCredentialIsOpened(t *testing.T) {
	w := newWorld(t)
	other := target.StartSSHD(t)
	r, err := w.resources.Create(t.Context(), w.owner, resource.Settings{Name: "imposter", Type: pam.SSH, Host: w.sshd.Host, Port: w.sshd.Port, HostKeys: []string{other.HostKeyLine}})
	w.must(err)
	none, err := w.resources.Create(t.Context(), w.owner, resource.Settings{Name: "unpinned", Type: pam.SSH, Host: w.sshd.Host, Port: w.sshd.Port})
	w.must(err)
	a := w.newAccount("roamer", account.NewCredential{Kind: account.SSHKey, PrivateKey: secret.FromString(w.sshd.PrivateKeyPEM)})
	w.newSafe("imposter", r, a)
	w.newSafe("unpinned", none, a)
	for _, s := range []string{"imposter", "unpinned"} {
		got := w.run(nil, "owner@example.com+"+s, "echo in")
		if got.code != 255 || !strings.Contains(got.err, "Host key verification failed") {
			t.Errorf("%s: %+v", s, got)
		}
		if s := w.over(); s.Status != session.Failed {
			t.Errorf("on record: %+v", s)
		}
	}
	if n := w.sealer.opened.Load(); n != 0 {
		t.Errorf("the credential was opened %d times", n)
	}
	if !slices.Contains(w.events(), audit.ResourceHostKeyMismatch) {
		t.Error("the mismatch was not audited")
	}
}

func (w *world) newAccount(name string, c account.NewCredential) account.Account {
	w.t.Helper()
	a, err := w.accounts.Create(w.t.Context(), w.owner, account.Settings{Name: name, Username: w.sshd.User}, &c)
	w.must(err)
	return a
}

func TestAcceptFirstPinsTheKeyOnce(t *testing.T) {
	w := newWorld(t)
	r, err := w.resources.Create(t.Context(), w.owner, resource.Settings{Name: "fresh", Type: pam.SSH, Host: w.sshd.Host, Port: w.sshd.Port, HostKeyPolicy: resource.AcceptFirst})
	w.must(err)
	w.newSafe("fresh", r, w.newAccount("roamer", account.NewCredential{Kind: account.SSHKey, PrivateKey: secret.FromString(w.sshd.PrivateKeyPEM)}))
	for range 2 {
		if got := w.run(nil, "owner@example.com+fresh", "echo in"); got.code != 0 || got.out != "in\n" {
			t.Fatalf("%+v", got)
		}
	}
	r, err = w.resources.ByID(t.Context(), w.owner, r.ID)
	w.must(err)
	if len(r.HostKeys) != 1 || (r.HostKeys[0] != w.sshd.HostKeyLine && r.HostKeys[0] != w.sshd.HostKeyLineECDSA) {
		t.Errorf("pinned: %v", r.HostKeys)
	}
	if !slices.Contains(w.events(), audit.ResourceHostKeyPinned) {
		t.Error("the pin was not audited")
	}
}

func TestFailuresOfTheTargetAreTold(t *testing.T) {
	w := newWorld(t)
	wrong := w.newAccount("wrong", account.NewCredential{Kind: account.Password, Value: secret.FromString("not the password")})
	w.newSafe("wrong", w.resource, wrong)
	if got := w.run(nil, "owner@example.com+wrong", "echo in"); got.code != 255 || !strings.Contains(got.err, "Authentication failed") || strings.Contains(got.err, "not the password") {
		t.Errorf("wrong credential: %+v", got)
	}
	w.sshd.Stop()
	if got := w.run(nil, "alice@example.com+web", "echo in"); got.code != 255 || !strings.Contains(got.err, "SSH connection refused") {
		t.Errorf("target down: %+v", got)
	}
	if s := w.over(); s.Status != session.Failed {
		t.Errorf("on record: %+v", s)
	}
}

func TestTargetThatDiesEndsTheSession(t *testing.T) {
	w := newWorld(t)
	c := w.busy()
	w.sshd.Stop()
	if r := wait(t, c); r.code != 255 {
		t.Errorf("%+v", r)
	}
	w.over()
}

func TestWithoutARecordingThereIsNoSession(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "recordings")
	w.must(os.RemoveAll(dir))
	r := w.run(nil, "alice@example.com+web", "echo in")
	if r.code != 255 || r.out != "" || !strings.Contains(r.err, "cannot be recorded, so it does not start") {
		t.Errorf("%+v", r)
	}
	if n := w.sealer.opened.Load(); n != 0 {
		t.Errorf("the credential was opened %d times", n)
	}
	w.change(func(s *safe.Settings) { s.Recording = safe.RecordingOff })
	if r := w.run(nil, "alice@example.com+web", "echo in"); r.code != 0 {
		t.Errorf("a safe that does not record: %+v", r)
	}
	if !slices.Contains(w.events(), audit.RecordingDisabledForSession) {
		t.Error("that there is no recording was not audited")
	}
}

func TestSealedVaultRefuses(t *testing.T) {
	w := newWorld(t)
	w.vault.Lock()
	if r := w.run(nil, "alice@example.com+web", "echo in"); r.code != 255 || !strings.Contains(r.err, "Vault is sealed") {
		t.Errorf("%+v", r)
	}
}

func TestRefusalsAreExplainedAndAudited(t *testing.T) {
	w := newWorld(t)
	w.newSafe("second", w.resource, w.account)
	for name, c := range map[string]struct {
		user, says string
		before     func()
	}{
		"several safes":   {"owner@example.com", "Say which safe: second, web", nil},
		"unknown safe":    {"alice@example.com+nothing", `There is no safe "nothing"`, nil},
		"not a member":    {"alice@example.com+second", `There is no safe "second"`, nil},
		"unknown binding": {"alice@example.com+web+root@web-1", "it has deploy@web-1", nil},
	} {
		if r := w.run(nil, c.user, "echo in"); r.code != 255 || r.out != "" || !strings.Contains(r.err, c.says) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if n := len(slices.DeleteFunc(w.events(), func(e audit.Type) bool { return e != audit.SessionRefused })); n != 4 {
		t.Errorf("%d refusals in the log", n)
	}
	if r := w.run(nil, "alice@example.com", "echo in"); r.code != 0 {
		t.Errorf("the only safe: %+v", r)
	}
	if r := w.run(nil, "alice@example.com+web+deploy@web-1", "echo in"); r.code != 0 {
		t.Errorf("a named binding: %+v", r)
	}
	w.change(func(s *safe.Settings) { s.Approval = safe.ApprovalSingle })
	if r := w.run(nil, "alice@example.com+web", "echo in"); r.code != 255 || !strings.Contains(r.err, "needs an approval") {
		t.Errorf("approval: %+v", r)
	}
}

func TestShutdownTellsTheSessions(t *testing.T) {
	w := newWorld(t)
	c := w.busy()
	w.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	w.must(w.broker.Drain(ctx))
	if r := wait(t, c); r.code != 255 || !strings.Contains(r.err, "shutting down") {
		t.Errorf("%+v", r)
	}
}
