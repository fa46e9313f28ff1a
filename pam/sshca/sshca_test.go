package sshca

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/test/target"
	"vaultpam/vault/vaulttest"
)

// memory is a Store for one organization.
type memory struct {
	authorities  []SealedAuthority
	certificates []Certificate
	events       []audit.Entry
}

func (m *memory) SSHAuthorities(context.Context, pam.OrgID) ([]SealedAuthority, error) {
	return m.authorities, nil
}

func (m *memory) AddSSHAuthority(_ context.Context, _ pam.OrgID, a SealedAuthority, e audit.Entry) error {
	m.authorities, m.events = append(m.authorities, a), append(m.events, e)
	return nil
}

func (m *memory) RemoveSSHAuthority(context.Context, pam.OrgID, int64, audit.Entry) error { return nil }

func (m *memory) AddSSHCertificate(_ context.Context, _ pam.OrgID, c Certificate, _ time.Time, e audit.Entry) error {
	m.certificates, m.events = append(m.certificates, c), append(m.events, e)
	return nil
}

func (m *memory) EndedSSHCertificates(context.Context, pam.OrgID, time.Time, int) ([]Certificate, error) {
	return m.certificates, nil
}
func (m *memory) HasOrganization(context.Context, pam.OrgID) (bool, error) { return true, nil }

const org = pam.OrgID("org_01ARZ3NDEKTSV4RRFFQ69G5FAV")

func TestCertificateLogsInForMinutesAndAsItsPrincipalAlone(t *testing.T) {
	dir, err := os.MkdirTemp("", "vptest-sshca")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(dir, "ca.pub")
	if err := os.WriteFile(trusted, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	sshd := target.StartSSHD(t, "TrustedUserCAKeys "+trusted, "AuthorizedKeysFile none", "PasswordAuthentication no")
	now := clock.NewManual(time.Now().UTC())
	source := ids.NewSource(now, rand.Reader)
	m := &memory{}
	s := New(Deps{Store: m, Sealer: vaulttest.New(t), Scribe: audit.NewScribe(now, source), Clock: now, Rand: rand.Reader})
	ctx, actor := t.Context(), pam.Actor{Org: org, User: "usr_1"}

	logsIn := func(w Want) error {
		t.Helper()
		key, line, err := s.Issue(ctx, actor, w)
		if err != nil {
			t.Fatal(err)
		}
		all, _ := s.Store.SSHAuthorities(ctx, org)
		if err := os.WriteFile(trusted, []byte(PublicKeys(s.shown(all))), 0o644); err != nil {
			t.Fatal(err)
		}
		plain, err := ssh.ParsePrivateKey(key.Expose())
		if err != nil {
			t.Fatal(err)
		}
		public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.NewCertSigner(public.(*ssh.Certificate), plain)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ssh.Dial("tcp", sshd.Addr, &ssh.ClientConfig{User: sshd.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: func(string, net.Addr, ssh.PublicKey) error { return nil }})
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	mine := Want{Session: "ses_1", Principals: []string{sshd.User}}
	if err := logsIn(mine); err != nil {
		t.Errorf("a certificate does not log in: %v\n%s", err, sshd.Log())
	}
	if err := logsIn(Want{Session: "ses_1", Principals: []string{"somebody"}}); err == nil {
		t.Error("the certificate of another principal logs in")
	}
	now.Advance(-time.Hour) // what is issued then has expired by now, however long it was asked for
	mine.TTL = 24 * time.Hour
	if err := logsIn(mine); err == nil || !strings.Contains(sshd.Log(), "expired") {
		t.Errorf("a certificate that has expired logs in: %v", err)
	}
	now.Advance(time.Hour)
	s.Sources = []string{"192.0.2.0/24"}
	if err := logsIn(Want{Session: "ses_1", Principals: []string{sshd.User}}); err == nil {
		t.Error("a certificate logs in from an address that it is not for")
	}
	if len(m.events) != 5 || m.events[1].Type != audit.CredentialIssued {
		t.Errorf("events: %v", m.events)
	}
	if _, _, err := s.Issue(ctx, actor, Want{Session: "ses_1"}); err == nil {
		t.Error("a certificate for anybody is issued")
	}
}
