package script

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target/fakekeys"
)

// sealedServer makes an installation with another seal than a key file, as an
// operator would, and prepares its server. What init printed is returned.
func sealedServer(t *testing.T, env []string, seal ...string) (p *proc, printed string) {
	t.Helper()
	return sealedServerOf(t, binary(t), env, seal...)
}

// sealedServerOf is sealedServer of another binary.
func sealedServerOf(t *testing.T, exe string, env []string, seal ...string) (p *proc, printed string) {
	t.Helper()
	p = newServer(t)
	p.exe, p.env = exe, append(p.env, env...)
	places := append([]string{"--data-dir", p.data, "--argon2-memory-kib", "64", "--argon2-time", "1"}, seal...)
	p.args = append([]string{"server", "--listen", p.http, "--ssh-listen", p.ssh, "--rate-limits", "off", "--log-level", "debug", "--local-allow", "127.0.0.0/8"}, places...)
	out, errs, status := run(t, append(env, "VAULTPAM_PASSWORD="+ownerPassword), "", exe, append([]string{"init", "--organization", "Example", "--email", ownerEmail}, places...)...)
	if status != 0 {
		t.Fatalf("init: %d %s%s", status, out, errs)
	}
	return p, out
}

// sharesIn finds the shares that were printed.
func sharesIn(t *testing.T, printed string) []string {
	t.Helper()
	var shares []string
	for line := range strings.Lines(printed) {
		if strings.HasPrefix(line, "vpshare1-") {
			shares = append(shares, strings.TrimSpace(line))
		}
	}
	return shares
}

// status is what everybody may know of the vault.
func (p *proc) status() v1.VaultStatus {
	p.t.Helper()
	return read[v1.VaultStatus](p.nobody().call("GET", "/vault/status", nil))
}

func (p *proc) unseal(in v1.UnsealIn) answer {
	p.t.Helper()
	return p.nobody().call("POST", "/vault/unseal", in)
}

// shut wants that nothing but the way to open the vault is served.
func (p *proc) shut() {
	p.t.Helper()
	if s := p.status(); !s.Sealed || !s.Initialized {
		p.t.Errorf("the status is %+v", s)
	}
	p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: ownerEmail, Password: ownerPassword}).want(503, "VAULT_SEALED")
	p.nobody().call("GET", "/safes", nil).want(503, "VAULT_SEALED")
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/scim/v2/Users": 503} {
		resp, err := web.Get(p.base + path)
		must(p.t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			p.t.Errorf("%s of a sealed server: %d, want %d", path, resp.StatusCode, want)
		}
	}
	if s := p.runSSH(ownerEmail+"+demo", "true"); s.wait() != 255 || !strings.Contains(s.errs.String(), "Vault is sealed") {
		p.t.Errorf("ssh to a sealed server: %s", s.errs)
	}
}

// Nobody alone opens this vault: any three of five people do, after each start.
func TestSharesOpenTheVault(t *testing.T) {
	t.Parallel()
	p, printed := sealedServer(t, nil, "--seal", "shamir", "--shares", "5", "--threshold", "3")
	shares := sharesIn(t, printed)
	if len(shares) != 5 {
		t.Fatalf("init printed %d shares: %s", len(shares), printed)
	}
	p.args = dropDeal(p.args)
	p.start()
	p.shut()
	if s := p.status(); s.SealKind != "shamir" || s.Threshold != 3 || s.Shares != 5 || s.Progress != 0 {
		t.Errorf("the status is %+v", s)
	}

	// Of one person, and of none.
	for range 4 {
		if s := read[v1.VaultStatus](p.unseal(v1.UnsealIn{Share: shares[4]})); !s.Sealed || s.Progress != 1 {
			t.Errorf("a share that was given again: %+v", s)
		}
	}
	p.unseal(v1.UnsealIn{}).want(503, "UNAVAILABLE")
	for what, bad := range map[string]string{
		"a typo": shares[0][:30] + "00" + shares[0][32:], "a cut": shares[0][:60], "a token": "vps_000000000000000000000000", "of another vault": otherShare,
	} {
		a := p.unseal(v1.UnsealIn{Share: bad}).want(422, "VALIDATION_FAILED")
		if strings.Contains(string(a.body), bad) {
			t.Errorf("%s: the refusal repeats it", what)
		}
	}
	p.unseal(v1.UnsealIn{Share: strings.Repeat("v", 300)}).want(422)
	if s := read[v1.VaultStatus](p.unseal(v1.UnsealIn{Share: shares[0]})); s.Progress != 2 {
		t.Errorf("after two people: %+v", s)
	}
	if s := read[v1.VaultStatus](p.unseal(v1.UnsealIn{Reset: true})); s.Progress != 0 {
		t.Errorf("after a reset: %+v", s)
	}
	p.shut()

	// By the command line, which needs no login.
	env := []string{"VAULTPAM_BASE_URL=" + p.base, "XDG_CONFIG_HOME=" + t.TempDir()}
	for i, n := range []int{1, 4} {
		out, errs, status := run(t, env, " "+strings.ToUpper(shares[n])+"\n", binary(t), "vault", "unseal")
		if status != 0 || !strings.Contains(out, "progress") {
			t.Errorf("share %d by the command line: %d %s%s", i, status, out, errs)
		}
	}
	if s := read[v1.VaultStatus](p.unseal(v1.UnsealIn{Share: shares[2]})); s.Sealed || s.Progress != 0 {
		t.Errorf("after three people: %+v", s)
	}
	owner := p.owner()
	if out, _, status := run(t, env, "", binary(t), "vault", "unseal"); status != 0 || !strings.Contains(out, "false") {
		t.Errorf("an open vault asks for a share: %d %s", status, out)
	}
	if s := p.runSSH(ownerEmail+"+none", "true"); s.wait() != 255 || strings.Contains(s.errs.String(), "sealed") {
		t.Errorf("ssh to the open server: %s", s.errs)
	}

	// Sealed by hand, and opened by others.
	owner.call("POST", "/vault/seal", nil).want(200)
	p.shut()
	for _, n := range []int{0, 1, 2} {
		p.unseal(v1.UnsealIn{Share: shares[n]}).want(200)
	}
	owner.call("GET", "/safes", nil).want(200)

	// A process that was killed knows nothing of the shares.
	p.kill()
	p.start()
	p.shut()
	for _, n := range []int{3, 1, 0} {
		p.unseal(v1.UnsealIn{Share: shares[n]}).want(200)
	}
	if s := p.status(); s.Sealed {
		t.Errorf("after the restart: %+v", s)
	}
	p.owner()
	p.stop()
	p.withoutShares(shares)
	p.events("VAULT_SHARE_GIVEN", 11)
	p.events("VAULT_UNSEALED", 3)
	p.events("VAULT_SHARES_DROPPED", 1)
	p.events("VAULT_UNSEAL_FAILED", 1)
}

// otherShare is a share of the vectors: of another vault.
const otherShare = "vpshare1-000g40r4-0m1g30c0-ge18b147-gt4rh2wa-hp68z3mh-j29s55cm-jyb9k64v-kaess7wy-ekqgs6wh"

// dropDeal leaves out what only init understands.
func dropDeal(args []string) (out []string) {
	for i := 0; i < len(args); i++ {
		if args[i] == "--shares" || args[i] == "--threshold" || args[i] == "--shares-to" {
			i++
			continue
		}
		out = append(out, args[i])
	}
	return out
}

// withoutShares looks for shares in all that the server has written.
func (p *proc) withoutShares(shares []string) {
	p.t.Helper()
	look := func(where string, text []byte) {
		lower := strings.ToLower(string(text))
		for i, s := range shares {
			if strings.Contains(lower, s[18:40]) || strings.Contains(strings.ReplaceAll(lower, "-", ""), strings.ReplaceAll(s[18:40], "-", "")) {
				p.t.Errorf("%s holds share %d", where, i+1)
			}
		}
	}
	look("the log", []byte(p.stderr.String()))
	look("standard output", []byte(p.stdout.String()))
	must(p.t, filepath.WalkDir(p.data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		look(path, text)
		return err
	}))
}

// events counts events of the instance's log in the database of a server that
// was stopped.
func (p *proc) events(kind string, want int) {
	p.t.Helper()
	var n int
	db := p.database(p.t)
	must(p.t, db.QueryRow(`SELECT count(*) FROM audit_events WHERE org_id = '' AND type = ?`, kind).Scan(&n))
	if n != want {
		p.t.Errorf("%d events %s, want %d", n, kind, want)
	}
}

// Attack: guess shares until the vault opens, or until nobody else gets to
// give theirs.
func TestAttackShareThatIsGuessed(t *testing.T) {
	t.Parallel()
	p, _ := sealedServer(t, nil, "--seal", "shamir", "--shares", "3", "--threshold", "2")
	p.args = append(dropDeal(p.args), "--rate-limits", "login=6")
	p.start()
	limited := 0
	for range 20 {
		if a := p.unseal(v1.UnsealIn{Share: otherShare}); a.status == http.StatusTooManyRequests {
			limited++
			a.want(429, "RATE_LIMITED")
		}
	}
	if limited < 8 { // a minute may have begun meanwhile
		t.Errorf("of 20 attempts %d were limited", limited)
	}
	if s := p.status(); !s.Sealed || s.Progress != 0 {
		t.Errorf("the status is %+v", s)
	}
}

// A session that is live goes on while the vault is sealed, ends, and its
// recording verifies once the vault is open again.
func TestASessionOutlivesTheSeal(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	dir, err := os.MkdirTemp("", "vaultpam-sign") // the demo's shell is nobody's
	must(t, err)
	defer os.RemoveAll(dir)
	must(t, os.Chmod(dir, 0o755))
	sign := filepath.Join(dir, "sign")
	s := p.runSSH(ownerEmail+"+demo", "echo before; while [ ! -e '"+sign+"' ]; do sleep 0.05; done; echo after; exit 3")
	s.prints("before")
	owner.call("POST", "/vault/seal", nil).want(200)
	must(t, os.WriteFile(sign, nil, 0o600))
	if code := s.wait(); code != 3 || !strings.Contains(s.out.String(), "after") {
		t.Errorf("the session ended with %d: %s%s", code, s.out, s.errs)
	}
	p.shut()
	p.unseal(v1.UnsealIn{}).want(200)
	var recording v1.Recording
	eventually(t, 30*time.Second, "the recording is sealed", func() bool {
		list := read[[]v1.Recording](owner.call("GET", "/recordings", nil))
		if len(list) != 1 {
			return false
		}
		recording = list[0]
		return recording.Status == "completed"
	})
	if v := read[v1.RecordingVerification](owner.call("GET", "/recordings/"+recording.ID+"/verify", nil)); !v.Verified || len(v.Problems) > 0 {
		t.Errorf("the recording: %+v", v)
	}
	for _, kind := range []string{"SESSION_ENDED", "RECORDING_SEALED"} {
		if n := len(read[[]v1.AuditEvent](owner.call("GET", "/audit-events?type="+kind, nil))); n != 1 {
			t.Errorf("%d events %s", n, kind)
		}
	}
}

// A service that keeps the key may be down when the server starts.
func TestTheVaultOpensByItselfWhenTheKeyServiceIsBack(t *testing.T) {
	t.Parallel()
	fake := fakekeys.NewTransit("hvs.canary-of-the-seal")
	srv := httptest.NewServer(fake)
	defer srv.Close()
	p, _ := sealedServer(t, []string{"VAULTPAM_TRANSIT_TOKEN=hvs.canary-of-the-seal"}, "--seal", "transit", "--transit-address", srv.URL)
	fake.Set(func(f *fakekeys.Transit) { f.Down = true })
	p.start()
	p.shut()
	if s := p.status(); s.SealKind != "transit" || s.Threshold != 0 {
		t.Errorf("the status is %+v", s)
	}
	p.unseal(v1.UnsealIn{}).want(503, "UNAVAILABLE")
	p.unseal(v1.UnsealIn{Share: otherShare}).want(422)
	fake.Set(func(f *fakekeys.Transit) { f.Down = false })
	eventually(t, 90*time.Second, "the vault opens by itself", func() bool { return !p.status().Sealed })
	owner := p.owner()

	// What an administrator has sealed stays so until somebody opens it.
	owner.call("POST", "/vault/seal", nil).want(200)
	time.Sleep(3 * time.Second)
	p.shut()
	p.unseal(v1.UnsealIn{}).want(200)
	owner.call("GET", "/safes", nil).want(200)
	p.stop()
	if strings.Contains(p.stderr.String(), "canary") {
		t.Error("the log holds the token")
	}
}

// What seals the vault can be changed, and after each change the old seal
// opens nothing any more.
func TestTheSealIsChangedByCommand(t *testing.T) {
	t.Parallel()
	fake := fakekeys.NewTransit("hvs.seal")
	srv := httptest.NewServer(fake)
	defer srv.Close()
	p, _ := sealedServer(t, []string{"VAULTPAM_TRANSIT_TOKEN=hvs.seal"})
	places := []string{"--data-dir", p.data, "--transit-address", srv.URL}
	base := append(p.args, "--transit-address", srv.URL)
	migrate := func(want int, stdin string, args ...string) string {
		t.Helper()
		out, errs, status := run(t, p.env, stdin, binary(t), append(append([]string{"vault", "migrate"}, places...), args...)...)
		if status != want {
			t.Fatalf("migrate %s: %d %s%s", strings.Join(args, " "), status, out, errs)
		}
		return out + errs
	}
	opens := func(seal string, shares ...string) {
		t.Helper()
		p.args = append(append([]string{}, base...), "--seal", seal)
		p.start()
		for _, share := range shares {
			p.unseal(v1.UnsealIn{Share: share}).want(200)
		}
		if s := p.status(); s.Sealed || s.SealKind != seal {
			t.Errorf("after the move to %s: %+v", seal, s)
		}
		p.owner()
		if out := migrate(1, "", "--seal", seal, "--to", "shamir"); !strings.Contains(out, "another process") && !strings.Contains(out, "use") {
			t.Errorf("while the server runs: %s", out)
		}
		p.stop()
	}
	opens("keyfile")
	first := sharesIn(t, migrate(0, "", "--to", "shamir", "--shares", "3", "--threshold", "2"))
	if out, errs, status := run(t, p.env, "", binary(t), append(base, "--seal", "keyfile")...); status != 1 || !strings.Contains(out+errs, "sealed by shamir") {
		t.Errorf("the old seal: %d %s%s", status, out, errs)
	}
	opens("shamir", first[2], first[0])
	migrate(1, first[0]+"\n"+otherShare+"\n", "--seal", "shamir", "--to", "keyfile")
	dir := filepath.Join(t.TempDir(), "shares")
	migrate(0, first[0]+"\n"+first[1]+"\n", "--seal", "shamir", "--to", "shamir", "--shares", "4", "--threshold", "3", "--shares-to", dir)
	var second []string
	for _, name := range []string{"share-1", "share-2", "share-3", "share-4"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", name, err)
		}
		second = append(second, strings.TrimSpace(string(text)))
	}
	p.args = append(append([]string{}, base...), "--seal", "shamir")
	p.start()
	p.unseal(v1.UnsealIn{Share: first[0]}).want(422)
	p.stop()
	opens("shamir", second[0], second[3], second[1])
	migrate(0, second[0]+"\n"+second[1]+"\n"+second[2]+"\n", "--seal", "shamir", "--to", "transit")
	opens("transit")
	migrate(1, "", "--seal", "transit", "--to", "transit")
	migrate(0, "", "--seal", "transit", "--to", "keyfile", "--to-key-file", filepath.Join(p.data, "second.key"))
	base = append(base, "--key-file", filepath.Join(p.data, "second.key"))
	places = append(places, "--key-file", filepath.Join(p.data, "second.key"))
	opens("keyfile")
	p.withoutShares(append(first, second...))
	p.events("VAULT_SEAL_CHANGED", 4)
}

// Killed at any moment of a move, the vault opens with the old seal or with the
// new one.
func TestAMoveThatIsKilledLeavesOneSealThatOpens(t *testing.T) {
	t.Parallel()
	p, _ := sealedServer(t, nil)
	files := []string{filepath.Join(p.data, "root.key"), filepath.Join(p.data, "other.key")}
	move := func(from int) *exec.Cmd {
		cmd := exec.Command(binary(t), "vault", "migrate", "--data-dir", p.data, "--to", "keyfile", "--key-file", files[from], "--to-key-file", files[1-from])
		cmd.Env = p.env
		return cmd
	}
	began := time.Now()
	if out, err := move(0).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	took, now, killed := time.Since(began), 1, 0
	for i := range 24 {
		cmd := move(now)
		must(t, cmd.Start())
		time.Sleep(took * time.Duration(i) / 20)
		_ = cmd.Process.Kill()
		if cmd.Wait() != nil {
			killed++
		}
		// The one that opens moves on to the other, the other refuses.
		out, err := move(now).CombinedOutput()
		if err != nil {
			if !strings.Contains(string(out), "This is not the key") {
				t.Fatalf("%v: %s", err, out)
			}
			now = 1 - now
			if out, err = move(now).CombinedOutput(); err != nil {
				t.Fatalf("neither seal opens the vault: %s", out)
			}
		}
		now = 1 - now
	}
	if killed == 0 {
		t.Error("no move was killed")
	}
	p.args = append(p.args, "--key-file", files[now])
	p.start()
	p.owner()
}
