package script

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// lasts says how long checkouts of the Safe are.
func (l *leased) lasts(owner *caller, seconds int) {
	owner.call("PATCH", "/safes/"+l.safe, map[string]any{"checkout": map[string]any{"enabled": true, "ttl_seconds": seconds}}).want(200)
}

// Users are made at a database that two installations share. Then both are
// killed, and one is restored from a backup that knows nothing of its user.
func TestUserThatARestoredBackupForgotIsDroppedAndNobodyElses(t *testing.T) {
	t.Parallel()
	cp := target.Need(t, "cp")
	for _, start := range []func(testing.TB) *leased{redisLeased, postgresLeased, mariaLeased} {
		l := start(t)
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			p, neighbour := startServer(t, "--local-allow", "127.0.0.0/8,::1/128"), startServer(t, "--local-allow", "127.0.0.0/8,::1/128")
			owner, stranger := p.owner(), neighbour.owner()
			theirs := *l
			l.place(owner)
			l.lasts(owner, 3)
			theirs.place(stranger)
			theirs.lasts(stranger, 3)

			backup := filepath.Join(t.TempDir(), "backup")
			copied := func(from, to string) {
				if _, errs, status := run(t, nil, "", cp, "-a", from, to); status != 0 {
					t.Fatal(errs)
				}
			}
			p.kill()
			copied(p.data, backup)
			p.start()
			owner = p.owner()
			forgotten, other := l.out(owner), theirs.out(stranger)
			p.kill()
			neighbour.kill()
			must(t, os.RemoveAll(p.data))
			copied(backup, p.data)
			if names := l.names(); !slices.Contains(names, forgotten.Username) || !slices.Contains(names, other.Username) {
				t.Fatalf("the target has %v", names)
			}
			eventually(t, time.Minute, "the time of both is over", func() bool { return time.Now().After(forgotten.ExpiresAt) && time.Now().After(other.ExpiresAt) })

			p.start()
			owner = p.owner()
			eventually(t, time.Minute, "the user is found and dropped", func() bool { return len(owner.events("LEASE_REVOKED")) > 0 })
			if names := l.names(); !slices.Equal(names, []string{other.Username}) {
				t.Errorf("the target has %v, of others %s", names, other.Username)
			}
			found := owner.events("LEASE_FOUND")
			if len(found) != 1 || found[0].Metadata["username"] != forgotten.Username || found[0].Target.ID != l.id {
				t.Errorf("events: %+v", found)
			}
			leases := read[[]v1.Lease](owner.call("GET", "/leases", nil))
			if len(leases) != 1 || leases[0].State != "revoked" || leases[0].Username != forgotten.Username || leases[0].UserID != "" {
				t.Errorf("leases: %+v", leases)
			}

			// By hand, while somebody works with another user.
			l.lasts(owner, 3600)
			used := l.out(owner)
			out, errs, status := run(t, []string{"HOME=" + t.TempDir(), "VAULTPAM_BASE_URL=" + p.base, "VAULTPAM_TOKEN=" + owner.token, "VAULTPAM_ORG_ID=" + owner.org}, "",
				binary(t), "leases", "sweep", l.id, "-o", "json")
			var swept v1.LeaseSweep
			if status != 0 || json.Unmarshal([]byte(out), &swept) != nil || len(swept.Found) != 0 || len(swept.Waiting) != 0 || !slices.Equal(swept.Foreign, []string{other.Username}) {
				t.Errorf("%d %s%s", status, out, errs)
			}
			if !l.logsIn(used.Username, used.Value) {
				t.Error("a sweep took away the user of a checkout")
			}
			// Who made the other one drops it.
			neighbour.start()
			eventually(t, time.Minute, "the neighbour drops its own", func() bool { return !slices.Contains(l.names(), other.Username) })
			if !l.logsIn(used.Username, used.Value) {
				t.Error("the neighbour took away our user")
			}
		})
	}
}
