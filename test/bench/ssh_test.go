package bench

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// hops are three ways to one OpenSSH server, with OpenSSH's client: direct,
// through a second sshd (ssh -J), and through the product, which records. All
// use one cipher and one key exchange, and keys to log in.
type hops struct {
	t            testing.TB
	config       string // of the client, with the hosts direct, jumped and broker
	target, jump *target.SSHD
	server       *process
	addr         string // host:port of the product's SSH
	user         string // of the product, with the Safe
	key          ssh.Signer
	program      string // ssh
}

var ways = []string{"direct", "jumped", "broker"}

func newHops(t testing.TB) *hops {
	t.Helper()
	w := &hops{t: t, target: target.StartSSHD(t), jump: target.StartSSHD(t), addr: freeAddr(t), user: ownerEmail + "+bench", program: target.Need(t, "ssh")}
	w.server = startServer(t, newData(t), "--ssh-listen", w.addr)
	owner := w.server.owner()
	owner.haveSafe(v1.ResourceIn{Name: "bench", Type: "ssh", Host: w.target.Host, Port: w.target.Port, HostKeys: []string{w.target.HostKeyLine}},
		w.target.User, v1.CredentialIn{Kind: "ssh_key", PrivateKey: w.target.PrivateKeyPEM})
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	w.key, err = ssh.NewSignerFromKey(private)
	must(t, err)
	owner.call("POST", "/me/ssh-keys", v1.SSHKeyIn{Name: "bench", PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(w.key.PublicKey())))})

	dir := t.TempDir()
	host := func(name, addr, user, key, more string) string {
		at := filepath.Join(dir, name+".key")
		must(t, os.WriteFile(at, []byte(key), 0o600))
		host, port, err := net.SplitHostPort(addr)
		must(t, err)
		return fmt.Sprintf("Host %s\n HostName %s\n Port %s\n User %s\n IdentityFile %s\n%s", name, host, port, user, at, more)
	}
	w.config = filepath.Join(dir, "config")
	must(t, os.WriteFile(w.config, []byte(
		host("direct", w.target.Addr, w.target.User, w.target.PrivateKeyPEM, "")+
			host("jump", w.jump.Addr, w.jump.User, w.jump.PrivateKeyPEM, "")+
			host("jumped", w.target.Addr, w.target.User, w.target.PrivateKeyPEM, " ProxyJump jump\n")+
			host("broker", w.addr, w.user, string(pem.EncodeToMemory(block)), "")+
			`Host *
 Ciphers aes128-gcm@openssh.com
 KexAlgorithms curve25519-sha256
 HostKeyAlgorithms ssh-ed25519
 PreferredAuthentications publickey
 IdentitiesOnly yes
 BatchMode yes
 Compression no
 StrictHostKeyChecking no
 UserKnownHostsFile /dev/null
 LogLevel ERROR
`), 0o600))
	return w
}

// ssh is OpenSSH's client, on one of the ways. The last of args is what to run
// at the target.
func (w *hops) ssh(way string, args ...string) *exec.Cmd {
	last := len(args) - 1
	c := exec.Command(w.program, append(append([]string{"-F", w.config}, args[:last]...), way, args[last])...)
	c.Stderr = os.Stderr
	return c
}
