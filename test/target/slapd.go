package target

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Slapd is an OpenLDAP server with a directory of its own: people below
// ou=people, groups below ou=groups of dc=example,dc=com. Its certificate is for
// 127.0.0.1 and localhost.
type Slapd struct {
	URL      string // ldaps://
	PlainURL string // ldap://, which wants STARTTLS
	CA       string // PEM
	BaseDN   string
	BindDN   string // of an account that reads everything
	Password string
	conn     *ldap.Conn
	cmd      *exec.Cmd
	log      string
	once     sync.Once
	t        testing.TB
}

// SlapdConfig is more of a server's configuration, before what it has anyhow.
type SlapdConfig struct {
	Global   string // modules and schemas
	Database string // overlays and access
}

// StartSlapd starts one. It ends with the test.
func StartSlapd(t testing.TB, more ...SlapdConfig) *Slapd {
	t.Helper()
	var extra SlapdConfig
	for _, m := range more {
		extra.Global += m.Global + "\n"
		extra.Database += m.Database + "\n"
	}
	program := Need(t, "slapd")
	dir := t.TempDir()
	s := &Slapd{t: t, BaseDN: "dc=example,dc=com", BindDN: "cn=admin,dc=example,dc=com", Password: rand.Text()}
	s.CA = s.certificate(dir)
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile %[1]s/pid
argsfile %[1]s/args
TLSCACertificateFile %[1]s/cert.pem
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
security ssf=128
%[4]sdatabase mdb
suffix "dc=example,dc=com"
rootdn "%[2]s"
rootpw %[3]s
directory %[1]s/data
overlay memberof
%[5]saccess to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
`, dir, s.BindDN, s.Password, extra.Global, extra.Database)
	file := filepath.Join(dir, "slapd.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for scheme, url := range map[string]*string{"ldaps": &s.URL, "ldap": &s.PlainURL} {
		port, err := freePort()
		s.must(err)
		*url = fmt.Sprintf("%s://127.0.0.1:%d", scheme, port)
	}
	// Debian confines the program at its place to the system's own directory.
	binary, err := os.ReadFile(program)
	s.must(err)
	program = filepath.Join(dir, "slapd")
	s.must(os.WriteFile(program, binary, 0o700))
	s.cmd = exec.Command(program, "-f", file, "-h", s.URL+" "+s.PlainURL, "-d", "stats")
	s.log = filepath.Join(dir, "log")
	out, err := os.Create(s.log)
	s.must(err)
	defer out.Close()
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.conn != nil {
			_ = s.conn.Close()
		}
		s.Kill()
	})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(s.CA))
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := ldap.DialURL(s.URL, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
		if err == nil {
			s.conn = conn
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("slapd does not come up: %v\n%s", err, s.Log())
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.must(s.conn.Bind(s.BindDN, s.Password))
	s.Add(s.BaseDN, map[string][]string{"objectClass": {"dcObject", "organization"}, "dc": {"example"}, "o": {"Example"}})
	for _, ou := range []string{"people", "groups", "elsewhere"} {
		s.Add("ou="+ou+","+s.BaseDN, map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {ou}})
	}
	return s
}

// Log is what the server has written so far: every operation.
func (s *Slapd) Log() string {
	text, _ := os.ReadFile(s.log)
	return string(text)
}

// Kill ends the server at once. It may be called before the test ends.
func (s *Slapd) Kill() {
	s.once.Do(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
}

func (s *Slapd) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// Add adds an entry.
func (s *Slapd) Add(dn string, attributes map[string][]string) {
	s.t.Helper()
	r := ldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		r.Attribute(name, values)
	}
	s.must(s.conn.Add(r))
}

// Person adds somebody, and returns their distinguished name.
func (s *Slapd) Person(uid, mail, password string) string {
	s.t.Helper()
	dn := "uid=" + ldap.EscapeDN(uid) + ",ou=people," + s.BaseDN
	s.Add(dn, map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {uid}, "cn": {"Person " + uid}, "sn": {uid}, "displayName": {"Person " + uid}, "mail": {mail}, "userPassword": {password}})
	return dn
}

// Group adds a group below an ou, with at least one member.
func (s *Slapd) Group(ou, cn string, members ...string) string {
	s.t.Helper()
	dn := "cn=" + ldap.EscapeDN(cn) + ",ou=" + ou + "," + s.BaseDN
	s.Add(dn, map[string][]string{"objectClass": {"groupOfNames"}, "cn": {cn}, "member": members})
	return dn
}

// Read returns the values of an attribute, as its administrator sees them.
func (s *Slapd) Read(dn, attribute string) []string {
	s.t.Helper()
	r := ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 10, false, "(objectClass=*)", []string{attribute}, nil)
	found, err := s.conn.Search(r)
	s.must(err)
	return found.Entries[0].GetAttributeValues(attribute)
}

// Replace gives an attribute other values.
func (s *Slapd) Replace(dn, attribute string, values ...string) {
	s.t.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace(attribute, values)
	s.must(s.conn.Modify(r))
}

// Delete removes an entry.
func (s *Slapd) Delete(dn string) {
	s.t.Helper()
	s.must(s.conn.Del(ldap.NewDelRequest(dn, nil)))
}

func (s *Slapd) certificate(dir string) string {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "slapd"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	s.must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	s.must(err)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.must(os.WriteFile(filepath.Join(dir, "cert.pem"), text, 0o600))
	s.must(os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return string(text)
}
