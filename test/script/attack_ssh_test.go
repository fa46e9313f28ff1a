package script

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// borrowed shows one key and signs with another, or not at all.
type borrowed struct {
	shown ssh.PublicKey
	own   ssh.Signer // nil: signs nothing
}

func (b borrowed) PublicKey() ssh.PublicKey { return b.shown }

func (b borrowed) Sign(random io.Reader, data []byte) (*ssh.Signature, error) {
	if b.own == nil {
		return nil, errors.New("there is no private key")
	}
	return b.own.Sign(random, data)
}

// registers makes a key and registers it for the caller.
func (c *caller) registers() (ssh.Signer, string) {
	c.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(c.t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(c.t, err)
	return signer, read[v1.SSHKey](c.call("POST", "/me/ssh-keys", v1.SSHKeyIn{Name: "key", PublicKey: string(ssh.MarshalAuthorizedKey(signer.PublicKey()))})).ID
}

// Mallory knows Alice's public key, as the world does, and has one of her own.
// She shows Alice's and signs with hers, or with none, or shows both, in order
// to be taken for Alice.
func TestAttackKeyThatIsShownButDoesNotSign(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	demo := owner.safe("Demo").ID
	alice, mallory := owner.person(p, "alice@ssh.test", "operator"), owner.person(p, "mallory@ssh.test", "operator")
	owner.joins(demo, alice, "operator")
	hers, id := alice.registers()
	mine, _ := mallory.registers()
	for what, auth := range map[string]ssh.AuthMethod{
		"her own key":               ssh.PublicKeys(mine),
		"Alice's, signed by her":    ssh.PublicKeys(borrowed{hers.PublicKey(), mine}),
		"Alice's, not signed":       ssh.PublicKeys(borrowed{hers.PublicKey(), nil}),
		"Alice's, then hers":        ssh.PublicKeys(borrowed{hers.PublicKey(), nil}, mine),
		"hers, then Alice's":        ssh.PublicKeys(mine, borrowed{hers.PublicKey(), mine}),
		"a certificate of her own":  ssh.PublicKeys(selfSigned(t, mine, "alice@ssh.test")),
		"Alice's in a certificate":  ssh.PublicKeys(borrowed{certificate(t, hers.PublicKey(), mine, "alice@ssh.test"), mine}),
		"no password":               ssh.Password(""),
		"questions without answers": ssh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil }),
	} {
		if c, err := p.dial(alice.email+"+demo", "", auth); err == nil {
			t.Errorf("%s: let in as Alice", what)
			_ = c.Close()
		}
	}
	if c, err := p.dial(mallory.email+"+demo", "", ssh.PublicKeys(hers)); err == nil {
		t.Error("Alice's key lets in as Mallory")
		_ = c.Close()
	}
	// Shown both, she is herself, who may not use the Safe.
	c, err := p.dial(mallory.email+"+demo", "", ssh.PublicKeys(borrowed{hers.PublicKey(), nil}), ssh.PublicKeys(mine))
	if err == nil {
		if s, err := c.NewSession(); err == nil {
			if out, err := s.CombinedOutput("echo in"); err == nil {
				t.Errorf("Mallory used the Safe: %s", out)
			}
		}
		_ = c.Close()
	}
	for _, e := range owner.events("LOGIN_SUCCEEDED") {
		if e.Actor.ID == alice.id && e.Metadata["method"] != "password" {
			t.Errorf("Alice is on record: %+v", e)
		}
	}
	for _, s := range read[[]v1.Session](owner.call("GET", "/sessions", nil)) {
		if s.UserID == alice.id {
			t.Errorf("a session of Alice: %+v", s)
		}
	}

	// The real one works, until it is taken back.
	in := func() bool {
		c, err := p.dial(alice.email+"+demo", "", ssh.PublicKeys(hers))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	if !in() {
		t.Error("Alice is not let in")
	}
	owner.call("POST", "/org/members/"+alice.id+"/suspend", nil).want(http.StatusOK)
	if in() {
		t.Error("let in while suspended")
	}
	owner.call("POST", "/org/members/"+alice.id+"/resume", nil).want(http.StatusOK)
	alice = p.login(alice.email, ownerPassword)
	alice.call("DELETE", "/me/ssh-keys/"+id, nil).want(http.StatusNoContent)
	if in() {
		t.Error("let in by a key that was removed")
	}
}

func certificate(t testing.TB, key ssh.PublicKey, by ssh.Signer, principal string) *ssh.Certificate {
	t.Helper()
	c := &ssh.Certificate{Key: key, CertType: ssh.UserCert, ValidPrincipals: []string{principal}, ValidBefore: ssh.CertTimeInfinity}
	must(t, c.SignCert(rand.Reader, by))
	return c
}

func selfSigned(t testing.TB, by ssh.Signer, principal string) ssh.Signer {
	t.Helper()
	s, err := ssh.NewCertSigner(certificate(t, by.PublicKey(), by, principal), by)
	must(t, err)
	return s
}

// Somebody who may use a shell wants a way past the recording: a forwarded
// port, an agent, a display, a tunnel, a subsystem, a variable that loads
// code. The real client and one made by hand get none of it from a real sshd,
// which would give all.
func TestAttackChannelsPastTheRecording(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	sshd := target.StartSSHD(t)
	safe, _ := owner.real(sshd, "Real", v1.CredentialIn{Kind: "ssh_key", PrivateKey: sshd.PrivateKeyPEM})
	user := ownerEmail + "+" + safe.ID
	secret := freeAddr(t)
	ln, err := net.Listen("tcp", secret)
	must(t, err)
	defer ln.Close()
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Error("somebody was connected through the target")
			_ = c.Close()
		}
	}()

	for what, options := range map[string][]string{
		"a port of the target": {"-W", secret},
		"a port of ours":       {"-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:0:" + secret},
		"a socket of ours":     {"-o", "ExitOnForwardFailure=yes", "-R", filepath.Join(t.TempDir(), "s") + ":" + secret},
		"files":                {"-s"},
	} {
		command := []string{"echo past; sleep 1"}
		if what == "files" {
			command = []string{"no-such-subsystem"}
		}
		if what == "a port of the target" {
			command = nil
		}
		if s := p.native(t, ownerPassword, user, options, command...); s.wait() == 0 || strings.Contains(s.out.String(), "past") {
			t.Errorf("%s: let through: %s%s", what, s.out, s.errs)
		}
	}
	agent, err := exec.LookPath("ssh-agent")
	must(t, err)
	socket := filepath.Join(t.TempDir(), "agent")
	daemon := exec.Command(agent, "-D", "-a", socket)
	must(t, daemon.Start())
	defer func() { _ = daemon.Process.Kill(); _ = daemon.Wait() }()
	for what, options := range map[string][]string{
		"an agent":  {"-A", "-o", "IdentityAgent=" + socket},
		"a display": {"-Y", "-o", "XAuthLocation=/bin/true"},
		"variables": {"-o", "SetEnv=LD_PRELOAD=/tmp/x.so VPTEST_X=1 BASH_ENV=/tmp/x PATH=/tmp"},
	} {
		s := p.native(t, ownerPassword, user, options, `echo "[$SSH_AUTH_SOCK$DISPLAY$LD_PRELOAD$VPTEST_X$BASH_ENV]"`)
		if s.wait() != 0 || strings.TrimSpace(s.out.String()) != "[]" {
			t.Errorf("%s: let through: %s%s", what, s.out, s.errs)
		}
	}

	c, err := p.dial(user, ownerPassword)
	must(t, err)
	defer c.Close()
	host, port := ssh.Marshal(struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}{sshd.Host, uint32(ln.Addr().(*net.TCPAddr).Port), "127.0.0.1", 1}), ssh.Marshal(struct {
		Host string
		Port uint32
	}{"127.0.0.1", 0})
	for _, kind := range []string{"direct-tcpip", "forwarded-tcpip", "direct-streamlocal@openssh.com", "forwarded-streamlocal@openssh.com", "auth-agent@openssh.com", "x11", "tun@openssh.com", "no such"} {
		if ch, _, err := c.OpenChannel(kind, host); err == nil {
			t.Errorf("a channel of type %s was opened", kind)
			_ = ch.Close()
		}
	}
	for _, kind := range []string{"tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com", "hostkeys-prove-00@openssh.com", "no such"} {
		if ok, _, err := c.SendRequest(kind, true, port); ok || err != nil {
			t.Errorf("request %s: %v %v", kind, ok, err)
		}
	}
	ch, requests, err := c.OpenChannel("session", nil)
	must(t, err)
	go ssh.DiscardRequests(requests) // ends with the channel
	for _, kind := range []string{"auth-agent-req@openssh.com", "x11-req", "no such"} {
		if ok, err := ch.SendRequest(kind, true, ssh.Marshal(struct {
			Single        bool
			Proto, Cookie string
			Screen        uint32
		}{false, "MIT-MAGIC-COOKIE-1", "00", 0})); ok || err != nil {
			t.Errorf("channel request %s: %v %v", kind, ok, err)
		}
	}
	// A second program on the same channel would run beside the recording.
	run := ssh.Marshal(struct{ Command string }{"echo one"})
	if ok, err := ch.SendRequest("exec", true, run); !ok || err != nil {
		t.Fatalf("exec: %v %v", ok, err)
	}
	for _, kind := range []string{"exec", "shell", "subsystem"} {
		if ok, _ := ch.SendRequest(kind, true, run); ok {
			t.Errorf("a second program was started by %s", kind)
		}
	}
	_ = ch.Close()

	// What was refused did not run at the target, and what ran is on record.
	if log := sshd.Log(); strings.Contains(log, "forward") && slices.ContainsFunc(strings.Split(log, "\n"), func(l string) bool { return strings.Contains(l, "Local forwarding listening") }) {
		t.Errorf("the target forwards: %s", log)
	}
}

// securityKey signs as a FIDO authenticator does (PROTOCOL.u2f of OpenSSH).
type securityKey struct {
	private ed25519.PrivateKey
	flags   byte // 1: somebody touched it
}

func (k securityKey) PublicKey() ssh.PublicKey {
	blob := ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, k.private.Public().(ed25519.PublicKey), "ssh:"})
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		panic(err)
	}
	return key
}

func (k securityKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	said := []byte{k.flags, 0, 0, 0, 7} // and a counter
	signed := ed25519.Sign(k.private, slices.Concat(application[:], said, message[:]))
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: signed, Rest: said}, nil
}

// Attack: somebody who has broken into a laptop uses the security key in it
// while its owner is away.
func TestAttackSecurityKeyThatNobodyTouches(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	touched := securityKey{private, 1}
	p.owner().call("POST", "/me/ssh-keys", v1.SSHKeyIn{Name: "security key", PublicKey: string(ssh.MarshalAuthorizedKey(touched.PublicKey()))}).want(http.StatusCreated)
	user := ownerEmail + "+demo"
	c, err := p.dial(user, "", ssh.PublicKeys(touched))
	if err != nil {
		t.Fatalf("touched: %v", err)
	}
	_ = c.Close()
	if c, err := p.dial(user, "", ssh.PublicKeys(securityKey{private, 0})); err == nil {
		_ = c.Close()
		t.Error("it was taken without a touch")
	}
}
