package script

import (
	"crypto/sha256"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// Somebody who can write the database file, but has no key, is a member of a
// Safe with a harmless account. They put the ciphertext of a password that
// they may not see in its place, and ask for it: from another account, from
// an older version, and from another organization.
func TestAttackCiphertextMovedToAnotherRow(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	foreign := owner.organization(p, "Elsewhere", "boss@elsewhere.test")
	sshd := target.StartSSHD(t)
	const mine, precious, older, theirs = "password-of-a-harmless-account", "password-of-a-precious-account", "password-of-last-year-1", "password-of-somebody-else"
	safe, account := owner.real(sshd, "Harmless", v1.CredentialIn{Kind: "password", Value: older})
	owner.call("PUT", "/accounts/"+account+"/credential", v1.CredentialIn{Kind: "password", Value: mine}).want(http.StatusOK)
	_, other := owner.real(sshd, "Precious", v1.CredentialIn{Kind: "password", Value: precious})
	_, another := foreign.real(sshd, "Theirs", v1.CredentialIn{Kind: "password", Value: theirs})
	reveal := func() answer { return owner.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe.ID}) }
	if got := read[v1.Checkout](reveal()).Value; got != mine {
		t.Fatalf("revealed %q", got)
	}

	for _, move := range []struct{ what, from string }{
		{"another account", "account_id = '" + other + "'"},
		{"an older version", "account_id = '" + account + "' AND version = 1"},
		{"another organization", "account_id = '" + another + "'"},
	} {
		p.stop()
		db := p.database(t)
		var good []byte
		must(t, db.QueryRow(`SELECT sealed FROM credential_versions WHERE account_id = ? AND version = 2`, account).Scan(&good))
		changes(t, db, 1, `UPDATE credential_versions SET sealed = (SELECT sealed FROM credential_versions WHERE `+move.from+`) WHERE account_id = '`+account+`' AND version = 2`)
		must(t, db.Close())
		p.start()
		before, began := len(owner.events("CREDENTIAL_CHECKED_OUT")), time.Now()
		a := reveal().want(http.StatusInternalServerError, "INTERNAL")
		if after := len(owner.events("CREDENTIAL_CHECKED_OUT")); after != before+1 {
			t.Errorf("%s: %d events of the attempt", move.what, after-before)
		}
		if failed := owner.events("CREDENTIAL_OPEN_FAILED"); len(failed) == 0 || failed[0].Target.ID != account {
			t.Errorf("%s: the log does not say that nothing was revealed: %+v", move.what, failed)
		}
		for _, c := range read[[]v1.Checkout](owner.call("GET", "/checkouts?account_id="+account, nil)) {
			if c.CreatedAt.After(began) {
				t.Errorf("%s: it is said to be out: %+v", move.what, c)
			}
		}
		s := p.native(t, ownerPassword, ownerEmail+"+"+safe.ID, nil, "id")
		if s.wait() != 255 || s.out.String() != "" {
			t.Errorf("%s: a session was opened: %s", move.what, s.out)
		}
		for where, text := range map[string]string{"answer": string(a.body), "log": p.stderr.String(), "session": s.errs.String()} {
			for _, secret := range []string{mine, precious, older, theirs} {
				if strings.Contains(text, secret) {
					t.Errorf("%s: the %s shows %s", move.what, where, secret)
				}
			}
		}
		p.stop()
		db = p.database(t)
		_, err := db.Exec(`UPDATE credential_versions SET sealed = ? WHERE account_id = ? AND version = 2`, good, account)
		must(t, err)
		must(t, db.Close())
		p.start()
		if got := read[v1.Checkout](reveal()).Value; got != mine {
			t.Errorf("%s: put back, %q was revealed", move.what, got)
		}
	}
}

// An insider who can write the database file wants an event of the log to be
// gone or to say something else. What they do is found by the server, which
// then signs nothing, or by whoever verifies an export, offline; what touches
// the signed checkpoints as well is found against a checkpoint kept elsewhere.
func TestAttackAuditLogEditedInTheDatabase(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	for range 20 {
		owner.call("POST", "/safes/"+owner.safe("Example").ID+"/lock", nil).want(http.StatusOK)
		owner.call("POST", "/safes/"+owner.safe("Example").ID+"/unlock", nil).want(http.StatusOK)
	}
	early := owner.call("GET", "/audit-events/export", nil).want(http.StatusOK).body
	p.stop()
	old := filepath.Join(t.TempDir(), "old")
	must(t, os.CopyFS(old, os.DirFS(p.data)))
	p.start()
	for range 5 {
		owner.call("POST", "/safes/"+owner.safe("Demo").ID+"/lock", nil).want(http.StatusOK)
		owner.call("POST", "/safes/"+owner.safe("Demo").ID+"/unlock", nil).want(http.StatusOK)
	}
	kept := filepath.Join(t.TempDir(), "kept")
	must(t, os.WriteFile(kept, []byte(read[v1.Checkpoint](owner.call("GET", "/audit-log/checkpoint", nil)).Note), 0o600))
	good := owner.call("GET", "/audit-events/export", nil).want(http.StatusOK).body
	for what, export := range map[string][]byte{"early": early, "good": good} {
		file := filepath.Join(t.TempDir(), "log")
		must(t, os.WriteFile(file, export, 0o600))
		if _, said, status := run(t, nil, "", binary(t), "audit", "verify", file); status != 0 {
			t.Fatalf("the %s log: %s", what, said)
		}
	}
	p.stop()

	org := owner.org
	event := func(n string) string {
		return `(SELECT event_id FROM audit_events WHERE org_id = '` + org + `' AND leaf_index = ` + n + `)`
	}
	where := ` WHERE org_id = '` + org + `' AND `
	forget := `DELETE FROM audit_checkpoints`
	edit := `UPDATE audit_events SET canonical = replace(canonical, '"SAFE_LOCKED"', '"SAFE_UNLOCKED"')` + where + `leaf_index = (SELECT min(leaf_index) FROM audit_events` + where + `type = 'SAFE_LOCKED')`
	for _, attack := range []struct {
		what   string
		data   string
		do     []string
		rehash bool   // by the attacker, who knows RFC 6962
		kept   bool   // only the checkpoint kept elsewhere shows it
		words  string // that name where, or what
	}{
		{"edited", p.data, []string{edit}, false, false, "edited"},
		{"edited and hashed anew", p.data, []string{edit}, true, false, "not those that were signed"},
		{"edited and hashed anew, and the checkpoints removed", p.data, []string{edit, forget}, true, true, "not those that were signed"},
		{"removed from the middle", p.data, []string{`DELETE FROM audit_events` + where + `leaf_index = 10`}, false, false, "altered"},
		{"removed, and the gap closed", p.data, []string{`DELETE FROM audit_events` + where + `leaf_index = 10`, `UPDATE audit_events SET leaf_index = leaf_index - 1000001` + where + `leaf_index > 10`, `UPDATE audit_events SET leaf_index = leaf_index + 1000000` + where + `leaf_index < 0`}, false, false, "altered"},
		{"swapped", p.data, []string{`UPDATE audit_events SET leaf_index = -1 WHERE event_id = ` + event("10"), `UPDATE audit_events SET leaf_index = 10 WHERE event_id = ` + event("11"), `UPDATE audit_events SET leaf_index = 11 WHERE event_id = ` + event("-1")}, false, false, "not those that were signed"},
		{"cut short", p.data, []string{`DELETE FROM audit_events` + where + `leaf_index > 20`}, false, false, "altered"},
		{"cut short, and the checkpoints removed", p.data, []string{`DELETE FROM audit_events` + where + `leaf_index > 20`, forget}, false, true, "checkpoint"},
		{"the last checkpoint forged", p.data, []string{`UPDATE audit_checkpoints SET note = replace(note, char(10) || size || char(10), char(10) || (size - 1) || char(10))` + where + `size = (SELECT max(size) FROM audit_checkpoints` + where + `1)`}, false, false, "altered"},
		{"rolled back to an old copy", old, nil, false, true, "checkpoint"},
	} {
		t.Run(attack.what, func(t *testing.T) {
			t.Parallel()
			q := newServer(t)
			must(t, os.CopyFS(q.data, os.DirFS(attack.data)))
			must(t, os.Chmod(filepath.Join(q.data, "root.key"), 0o600))
			db := q.database(t)
			for _, do := range attack.do {
				changes(t, db, -1, do)
			}
			if attack.rehash {
				rehash(t, db)
			}
			must(t, db.Close())
			q.start()
			a := q.owner().call("GET", "/audit-events/export", nil)
			if a.status == http.StatusInternalServerError {
				if attack.kept {
					t.Error("found without the checkpoint")
				}
				eventually(t, 10*time.Second, "the log says "+attack.words, func() bool { return strings.Contains(q.stderr.String(), attack.words) })
				return
			}
			file := filepath.Join(t.TempDir(), "log")
			must(t, os.WriteFile(file, a.body, 0o600))
			args := []string{"audit", "verify", file}
			if attack.kept {
				if _, said, status := run(t, nil, "", binary(t), args...); status != 0 {
					t.Errorf("found without the checkpoint: %s", said)
				}
				args = append(args, "--checkpoint", kept)
			}
			if _, said, status := run(t, nil, "", binary(t), args...); status != 1 || !strings.Contains(said, attack.words) {
				t.Errorf("verify: exit status %d: %s", status, said)
			}
		})
	}
}

// changes runs a statement that has to change n rows; -1: any but none.
func changes(t testing.TB, db *sql.DB, n int64, statement string) {
	t.Helper()
	result, err := db.Exec(statement)
	must(t, err)
	if got, _ := result.RowsAffected(); got != n && (n >= 0 || got == 0) {
		t.Fatalf("%d rows changed by %s", got, statement)
	}
}

// rehash gives every event the leaf hash of what it says now (RFC 6962
// section 2.1).
func rehash(t testing.TB, db *sql.DB) {
	t.Helper()
	rows, err := db.Query(`SELECT event_id, canonical FROM audit_events`)
	must(t, err)
	hashes := map[string][]byte{}
	for rows.Next() {
		var id, canonical string
		must(t, rows.Scan(&id, &canonical))
		sum := sha256.Sum256([]byte("\x00" + canonical))
		hashes[id] = sum[:]
	}
	must(t, rows.Err())
	for id, sum := range hashes {
		_, err := db.Exec(`UPDATE audit_events SET leaf_hash = ? WHERE event_id = ?`, sum, id)
		must(t, err)
	}
}
