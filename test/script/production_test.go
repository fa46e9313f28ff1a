package script

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vaultpam/test/target"
)

// tlsCertificate writes a self-signed certificate for 127.0.0.1, and its key.
func tlsCertificate(t testing.TB, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	of := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "pam.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, private.Public(), private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
}

// From an empty directory to a login over TLS, as an operator would go, with
// the mistakes that operators make.
func TestProductionFromInitToLogin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, listen := filepath.Join(dir, "data"), freeAddr(t)
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	tlsCertificate(t, cert, key, 1)
	places := []string{"--data-dir", data, "--ssh-listen", freeAddr(t)}
	env := []string{"VAULTPAM_EMAIL=" + ownerEmail, "VAULTPAM_PASSWORD=" + ownerPassword, "XDG_CONFIG_HOME=" + filepath.Join(dir, "config"), "SSL_CERT_FILE=" + cert}
	vaultpam := func(want int, args ...string) string {
		t.Helper()
		out, errs, status := run(t, env, "", binary(t), args...)
		if status != want {
			t.Errorf("%s: exit status %d, want %d: %s%s", strings.Join(args, " "), status, want, out, errs)
		}
		return out + errs
	}
	refused := func(sentence string, args ...string) {
		t.Helper()
		if text := vaultpam(1, append(append([]string{"server"}, places...), args...)...); !strings.Contains(text, sentence) {
			t.Errorf("%s: %q does not say %q", strings.Join(args, " "), text, sentence)
		}
	}
	refused("vaultpam init", "--listen", listen)
	vaultpam(0, append([]string{"init", "--organization", "Example Ltd", "--email", ownerEmail}, places...)...)
	if text := vaultpam(1, append([]string{"init", "--organization", "Another", "--email", "other@example.com"}, places...)...); !strings.Contains(text, "has an organization already") {
		t.Errorf("the second init says %q", text)
	}
	for path, want := range map[string]os.FileMode{data: 0o700, filepath.Join(data, "root.key"): 0o600, filepath.Join(data, "vaultpam.db"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %o", path, info, err, want)
		}
	}
	refused("plain HTTP is served on loopback addresses alone", "--listen", "0.0.0.0:0")
	refused("the certificate and its key cannot be read", "--listen", listen, "--tls-cert", key, "--tls-key", key)

	serve := func() (stop func(), log *output) {
		t.Helper()
		log = &output{}
		cmd := exec.Command(binary(t), append([]string{"server", "--listen", listen, "--tls-cert", cert, "--tls-key", key, "--rate-limits", "off"}, places...)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
		must(t, cmd.Start())
		stop = func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() != -1 {
				t.Errorf("the server ended with %v: %s", err, log)
			}
		}
		eventually(t, 20*time.Second, "it listens", func() bool {
			conn, err := net.Dial("tcp", listen)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
		return stop, log
	}
	stop, _ := serve()
	vaultpam(0, "login", "https://"+listen)
	if out := vaultpam(0, "safes", "-o", "json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("a new installation has Safes: %s", out)
	}
	curl := func(more ...string) string {
		t.Helper()
		out, errs, status := run(t, nil, "", target.Need(t, "curl"), append([]string{"-sS", "-i", "--cacert", cert}, more...)...)
		if status != 0 {
			t.Fatalf("curl: %d %s", status, errs)
		}
		return out
	}
	if out := curl("https://" + listen + "/readyz"); !strings.Contains(out, "200") || !strings.Contains(strings.ToLower(out), "strict-transport-security: max-age=") {
		t.Errorf("/readyz over TLS: %s", out)
	}
	if _, _, status := run(t, nil, "", target.Need(t, "curl"), "-sS", "--cacert", cert, "--tls-max", "1.1", "https://"+listen+"/readyz"); status == 0 {
		t.Error("TLS 1.1 is spoken")
	}
	if resp, err := http.Get("http://" + listen + "/healthz"); err == nil {
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP is answered with %d", resp.StatusCode)
		}
		_ = resp.Body.Close()
	}
	refused("in use by another server", "--listen", freeAddr(t))

	// A renewed certificate is served without a restart; a half-written one
	// is not.
	serial := func() string {
		out, _, _ := run(t, nil, "", target.Need(t, "curl"), "-sSk", "-o", "/dev/null", "-w", "%{certs}", "https://"+listen+"/healthz")
		for line := range strings.Lines(out) {
			if rest, ok := strings.CutPrefix(line, "Serial Number:"); ok {
				return strings.TrimSpace(rest)
			}
		}
		return out
	}
	first := serial()
	must(t, os.WriteFile(cert, []byte("-----BEGIN CERT"), 0o644))
	if got := serial(); got != first {
		t.Errorf("with half a certificate: %q, want %q", got, first)
	}
	tlsCertificate(t, cert, key, 2)
	eventually(t, 10*time.Second, "the renewed certificate is served", func() bool { return serial() != first })
	stop()

	// Without its key file, or with another's, it does not start.
	root := filepath.Join(data, "root.key")
	good, err := os.ReadFile(root)
	must(t, err)
	must(t, os.Remove(root))
	refused("root.key", "--listen", listen)
	vaultpam(1, append([]string{"init", "--organization", "Another", "--email", "other@example.com"}, places...)...)
	if _, err := os.Stat(root); err == nil {
		t.Error("a missing key file was replaced by another")
	}
	other := filepath.Join(dir, "other")
	vaultpam(0, "init", "--organization", "Other", "--email", ownerEmail, "--data-dir", other, "--ssh-listen", freeAddr(t))
	foreign, err := os.ReadFile(filepath.Join(other, "root.key"))
	must(t, err)
	must(t, os.WriteFile(root, foreign, 0o600))
	refused("is needed", "--listen", listen)
	must(t, os.WriteFile(root, good, 0o600))
	stop, log := serve()
	vaultpam(0, "login", "https://"+listen)
	stop()
	if bytes.Contains([]byte(log.String()), []byte(ownerPassword)) {
		t.Error("the password is in the log")
	}
}
