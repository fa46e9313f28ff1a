package script

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/sshca"
	"vaultpam/store"
	"vaultpam/store/storetest"
	"vaultpam/test/target"
	"vaultpam/vault"
	"vaultpam/vault/sealfile"
)

// openVault opens the vault of a running server as another node would.
func openVault(t testing.TB, p *proc, database string) (*store.DB, *vault.Vault) {
	t.Helper()
	db := storetest.Open(t, store.Options{DatabaseURL: database})
	seal, err := sealfile.Open(filepath.Join(p.data, "root.key"))
	must(t, err)
	v := vault.New(db.Vault(), seal, clock.Real{}, rand.Reader)
	must(t, v.Unseal(t.Context()))
	t.Cleanup(v.Lock)
	return db, v
}

// Somebody has got hold of the key and the certificate of a session, which exist
// in the server's memory alone. They log in with OpenSSH's own client while the
// session lives, and no more when it is over and the target has fetched the list,
// though the certificate has not expired.
func TestAttackCertificateOfASessionThatIsOver(t *testing.T) {
	t.Parallel()
	client, database := target.Need(t, "ssh"), storetest.Postgres(t)
	p := newServer(t)
	p.env = append(p.env, "DATABASE_URL="+database)
	p.start()
	owner := p.owner()
	sshd := startCertified(t, "ops")
	ca := sshd.trust(t, p, owner)
	safe, account := sshd.safe(owner, "certified", v1.Ephemeral{Principals: []string{"ops"}, TTLSeconds: 900})

	db, v := openVault(t, p, database)
	source := ids.NewSource(clock.Real{}, rand.Reader)
	issuer := sshca.New(sshca.Deps{Store: db, Sealer: v, Scribe: audit.NewScribe(clock.Real{}, source), Clock: clock.Real{}, Rand: rand.Reader})
	dir := t.TempDir()
	steal := func(s v1.Session) string {
		t.Helper()
		key, certificate, err := issuer.Issue(t.Context(), pam.Actor{Org: pam.OrgID(owner.org), User: pam.UserID(owner.id)}, sshca.Want{
			Session: pam.SessionID(s.ID), Account: pam.AccountID(account), Principals: []string{"ops"}, TTL: sshca.MaxTTL, Target: audit.Party{Type: "account", ID: account},
		})
		must(t, err)
		file := filepath.Join(dir, s.ID)
		must(t, os.WriteFile(file, key.Expose(), 0o600))
		must(t, os.WriteFile(file+"-cert.pub", []byte(certificate+"\n"), 0o600))
		return file
	}
	logsIn := func(file string) (bool, string) {
		out, errs, _ := run(t, []string{"SSH_AUTH_SOCK="}, "", client, "-F", "none", "-i", file, "-o", "CertificateFile="+file+"-cert.pub", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
			"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile="+filepath.Join(dir, "known"), "-p", strconv.Itoa(sshd.Port), sshd.User+"@"+sshd.Host, "echo in")
		return strings.TrimSpace(out) == "in", errs
	}
	begin := func() v1.Session {
		t.Helper()
		before := read[[]v1.Session](owner.call("GET", "/sessions?status=active", nil))
		p.runSSH(ownerEmail+"+"+safe, "echo here; sleep 120").prints("here")
		var out v1.Session
		eventually(t, time.Minute, "the session is active", func() bool {
			now := read[[]v1.Session](owner.call("GET", "/sessions?status=active", nil))
			if len(now) > len(before) {
				out = now[0]
			}
			return len(now) > len(before)
		})
		return out
	}

	first, other := begin(), begin()
	stolen, good := steal(first), steal(other)
	sshd.fetch(t, p, ca)
	for _, file := range []string{stolen, good} {
		if in, errs := logsIn(file); !in {
			t.Fatalf("before anything is revoked: %s\n%s", errs, tail(sshd.Log(), 2000))
		}
	}
	owner.call("POST", "/sessions/"+first.ID+"/terminate", nil).want(http.StatusOK)
	eventually(t, time.Minute, "the target refuses the certificate of the session that is over", func() bool {
		sshd.fetch(t, p, ca)
		in, _ := logsIn(stolen)
		return !in
	})
	if log := sshd.Log(); !strings.Contains(log, "revoked") || !strings.Contains(log, "ID ses_") {
		t.Errorf("the target does not say that it was revoked: %s", tail(log, 2000))
	}
	if in, errs := logsIn(good); !in {
		t.Errorf("the certificate of a session that lives is refused: %s", errs)
	}
	// A list that is fetched later says the same.
	sshd.fetch(t, p, ca)
	if in, _ := logsIn(stolen); in {
		t.Error("the certificate logs in again")
	}
}
