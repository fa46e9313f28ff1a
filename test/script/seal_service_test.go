package script

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
	"vaultpam/test/target/fakekeys"
)

// A server whose key is in AWS KMS, from its first start to a move away.
func TestAServerSealedByKMSFromInitToAVerifiedRecording(t *testing.T) {
	t.Parallel()
	fake := fakekeys.NewKMS()
	srv := httptest.NewServer(fake)
	defer srv.Close()
	wholeLife(t, binary(t), func(down bool) { fake.Set(func(k *fakekeys.KMS) { k.Down = down }) }, []string{fake.Secret},
		[]string{"AWS_ACCESS_KEY_ID=" + fake.ID, "AWS_SECRET_ACCESS_KEY=" + fake.Secret},
		"awskms", "--awskms-endpoint", srv.URL, "--awskms-key", fake.ARN, "--awskms-region", fake.Region)
}

// The same with a key in a hardware security module, by the binary that
// `make build-hsm` makes.
func TestAServerSealedByPKCS11FromInitToAVerifiedRecording(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	exe := filepath.Join(dir, "vaultpam-hsm")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "pkcs11", "-ldflags", "-s -w -X main.version=v0.0.0-script", "-o", exe, "vaultpam/cmd/vaultpam")
	target.Need(t, "gcc")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build vaultpam with PKCS#11: %v\n%s", err, out)
	}
	conf, tokens := filepath.Join(dir, "softhsm2.conf"), filepath.Join(dir, "tokens")
	must(t, os.Mkdir(tokens, 0o700))
	must(t, os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", tokens), 0o600))
	const pin = "canary-90210"
	env := []string{"SOFTHSM2_CONF=" + conf, "VAULTPAM_PKCS11_PIN=" + pin}
	if out, errs, status := run(t, env, "", target.Need(t, "softhsm2-util"), "--init-token", "--free", "--label", "pam", "--so-pin", "87654321", "--pin", pin); status != 0 {
		t.Fatalf("make a token: %s%s", out, errs)
	}
	away := func(down bool) {
		from, to := tokens, tokens+".away"
		if !down {
			from, to = to, from
		}
		must(t, os.Rename(from, to))
	}
	wholeLife(t, exe, away, []string{pin}, env, "pkcs11", "--pkcs11-module", "/usr/lib/softhsm/libsofthsm2.so", "--pkcs11-token", "pam")
}

// wholeLife takes a server from init to a session at a real sshd and its
// recording, through a time without what keeps its key, and to a key file.
func wholeLife(t *testing.T, exe string, away func(down bool), secrets, env []string, kind string, settings ...string) {
	t.Helper()
	settings = append([]string{"--seal", kind}, settings...)
	p, _ := sealedServerOf(t, exe, env, settings...)
	p.start()
	if s := p.status(); s.Sealed || s.SealKind != kind {
		t.Fatalf("at its first start: %+v", s)
	}
	owner := p.owner()
	sshd := target.StartSSHD(t)
	resource := read[v1.Resource](owner.call("POST", "/resources", v1.ResourceIn{Name: "box", Type: "ssh", Host: sshd.Host, Port: sshd.Port, HostKeys: []string{sshd.HostKeyLine}})).ID
	account := read[v1.Account](owner.call("POST", "/accounts", v1.AccountIn{
		Name: "deploy", Username: sshd.User, ResourceID: &resource, Credential: &v1.CredentialIn{Kind: "ssh_key", PrivateKey: sshd.PrivateKeyPEM},
	})).ID
	owner.call("POST", "/safes", v1.SafeIn{Name: "Boxes", Slug: "boxes", Bindings: []v1.Binding{{ResourceID: resource, AccountID: account}}}).want(201)
	recordings := 0
	session := func() {
		t.Helper()
		if s := p.runSSH(ownerEmail+"+boxes", "echo over there"); s.wait() != 0 || !strings.Contains(s.out.String(), "over there") {
			t.Fatalf("a session: %s%s", s.out, s.errs)
		}
		recordings++
		var list []v1.Recording
		eventually(t, 30*time.Second, "its recording is sealed", func() bool {
			list = read[[]v1.Recording](owner.call("GET", "/recordings", nil))
			return len(list) == recordings && !slices.ContainsFunc(list, func(r v1.Recording) bool { return r.Status != "completed" })
		})
		for _, r := range list {
			if v := read[v1.RecordingVerification](owner.call("GET", "/recordings/"+r.ID+"/verify", nil)); !v.Verified || len(v.Problems) > 0 {
				t.Errorf("the recording %s: %+v", r.ID, v)
			}
		}
	}
	session()

	// What keeps the key goes away: the server that runs goes on, the one that
	// starts waits, and opens by itself.
	away(true)
	session()
	p.restart()
	p.shut()
	p.unseal(v1.UnsealIn{}).want(503, "UNAVAILABLE")
	away(false)
	eventually(t, 90*time.Second, "the vault opens by itself", func() bool { time.Sleep(50 * time.Millisecond); return !p.status().Sealed })
	owner = p.owner()
	session()
	p.stop()

	// To a key file, after which the service is needed no more.
	places := append([]string{"vault", "migrate", "--data-dir", p.data, "--to", "keyfile"}, settings...)
	if out, errs, status := run(t, p.env, "", exe, places...); status != 0 {
		t.Fatalf("migrate: %d %s%s", status, out, errs)
	}
	away(true)
	p.args = append(p.args, "--seal", "keyfile")
	p.start()
	if s := p.status(); s.Sealed || s.SealKind != "keyfile" {
		t.Errorf("after the move: %+v", s)
	}
	owner = p.owner()
	session()
	p.stop()
	for _, secret := range secrets {
		if strings.Contains(p.stderr.String()+p.stdout.String(), secret) {
			t.Error("what the server wrote holds the secret of the service")
		}
	}
}
