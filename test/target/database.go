package target

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
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Database is a real PostgreSQL or MariaDB with TLS, that logs every statement.
type Database struct {
	Address string // host and port, on 127.0.0.1
	CA      string // PEM; the certificate is for localhost
	CAKey   string // PEM; what it signs is let in as a client of that name
	Admin   string // a user who may do everything, of password "admin's"
	dir     string
	command *exec.Cmd
	done    chan struct{}
}

// Log returns all that the server has written to its logs.
func (d *Database) Log(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Dial connects to it.
func (d *Database) Dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", d.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Kill ends it as a crash does.
func (d *Database) Kill() {
	killTree(d.command.Process.Pid)
	<-d.done
}

// StartPostgres starts a PostgreSQL with SCRAM. The user old is let in by md5,
// clear by a password in clear text, and open without any.
func StartPostgres(t testing.TB) *Database {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		Need(t, "initdb")
		bins = []string{filepath.Dir(Need(t, "initdb"))}
	}
	bin := bins[len(bins)-1]
	d := newDatabase(t, "postgres")
	data := filepath.Join(d.dir, "data")
	d.write(t, "password", "admin's\n")
	d.run(t, "postgres", filepath.Join(bin, "initdb"), "-D", data, "-U", "admin", "--pwfile="+filepath.Join(d.dir, "password"), "-A", "scram-sha-256", "-E", "UTF8", "--no-sync")
	d.write(t, "hba", "local all all reject\nhost all old all md5\nhost all clear all password\nhost all open all trust\nhostssl all carl all cert\nhost all all all scram-sha-256\n")
	_, port, _ := net.SplitHostPort(d.Address)
	d.start(t, "postgres", filepath.Join(bin, "postgres"), "-D", data, "-p", port, "-h", "127.0.0.1", "-k", "",
		"-c", "hba_file="+filepath.Join(d.dir, "hba"), "-c", "ssl=on", "-c", "ssl_ca_file="+filepath.Join(d.dir, "cert"), "-c", "ssl_cert_file="+filepath.Join(d.dir, "cert"), "-c", "ssl_key_file="+filepath.Join(d.dir, "key"),
		"-c", "log_statement=all", "-c", "log_min_duration_statement=0", "-c", "max_connections=10", "-c", "superuser_reserved_connections=1", "-c", "fsync=off")
	return d
}

// StartMariaDB starts a MariaDB whose general log is on.
func StartMariaDB(t testing.TB, args ...string) *Database {
	t.Helper()
	d := newDatabase(t, "mysql")
	data := filepath.Join(d.dir, "data")
	d.run(t, "mysql", Need(t, "mariadb-install-db"), "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
	d.write(t, "init", "CREATE USER admin@'%' IDENTIFIED BY 'admin''s';\nGRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;\n")
	_, port, _ := net.SplitHostPort(d.Address)
	d.start(t, "mysql", Need(t, "mariadbd"), append([]string{
		"--no-defaults", "--datadir=" + data, "--port=" + port, "--bind-address=127.0.0.1", "--socket=" + filepath.Join(d.dir, "s"),
		"--init-file=" + filepath.Join(d.dir, "init"), "--ssl-cert=" + filepath.Join(d.dir, "cert"), "--ssl-key=" + filepath.Join(d.dir, "key"),
		"--general-log=1", "--general-log-file=" + filepath.Join(d.dir, "log"), "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve",
	}, args...)...)
	return d
}

func newDatabase(t testing.TB, owner string) *Database {
	t.Helper()
	dir, err := os.MkdirTemp("", "vaultpam-"+owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &Database{Address: l.Addr().String(), Admin: "admin", dir: dir}
	_ = l.Close()
	if os.Getuid() == 0 {
		uid, gid := ids(t, owner)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	d.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	d.write(t, "cert", d.CA)
	d.CAKey = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	d.write(t, "key", d.CAKey)
	d.write(t, "log", "")
	return d
}

func ids(t testing.TB, owner string) (int, int) {
	t.Helper()
	u, err := user.Lookup(owner)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return uid, gid
}

// write leaves a file that only the owner of the directory reads.
func (d *Database) write(t testing.TB, name, content string) {
	t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.dir); err == nil {
		s := info.Sys().(*syscall.Stat_t)
		_ = os.Chown(path, int(s.Uid), int(s.Gid))
	}
}

// cmd runs as the owner, since neither server likes root.
func (d *Database) cmd(t testing.TB, owner, program string, args ...string) *exec.Cmd {
	c := exec.Command(program, args...)
	c.Dir = d.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + d.dir}
	if os.Getuid() == 0 {
		uid, gid := ids(t, owner)
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	return c
}

func (d *Database) run(t testing.TB, owner, program string, args ...string) {
	t.Helper()
	if out, err := d.cmd(t, owner, program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

func (d *Database) start(t testing.TB, owner, program string, args ...string) {
	t.Helper()
	d.command = d.cmd(t, owner, program, args...)
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.command.Stdout, d.command.Stderr = log, log
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	d.done = make(chan struct{})
	go func() { _ = d.command.Wait(); close(d.done) }()
	t.Cleanup(d.Kill)
	ready := []byte("ready for connections")
	if owner == "postgres" {
		ready = []byte("ready to accept connections")
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", d.Address); err == nil {
			_ = c.Close()
			if bytes.Contains(d.Log(t), ready) {
				return
			}
		}
		select {
		case <-d.done:
			t.Fatalf("%s ended:\n%s", program, d.Log(t))
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not start:\n%s", program, d.Log(t))
		}
	}
}
