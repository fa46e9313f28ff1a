package store

import (
	"strings"
	"testing"
)

// However long a list is, a page of it costs its own rows: they are found by
// their ids, and the list itself is never walked to its end.
func TestAPageOfAListReadsOnlyItsOwnRows(t *testing.T) {
	db, err := Open(t.Context(), Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct{ columns, tables, id, by string }{
		{"s.name", "safes s", "s.safe_id", "s.sort_key, s.safe_id"},
		{"r.name", "resources r", "r.resource_id", "r.sort_key DESC, r.resource_id DESC"},
		{accountColumns, accountTables, "a.account_id", "a.sort_key, a.account_id"},
		{orgMemberColumns, "memberships m LEFT JOIN users u ON u.id = m.user_id", "m.user_id", "m.user_id"},
	} {
		text, args := pageOf(c.columns, c.tables, c.id, "org_1", where{}, c.by, 100)
		plan := planOf(t, db, text, args...)
		alias, column, _ := strings.Cut(c.id, ".")
		found := false
		for _, step := range plan {
			found = found || strings.HasPrefix(step, "SEARCH "+alias+" ") && strings.Contains(step, "org_id=? AND "+column+"=?")
		}
		if !found {
			t.Errorf("%s are not read by their ids:\n%s", c.tables, strings.Join(plan, "\n"))
		}
	}
}

// However many secrets of an account are out or were, a reveal does not read
// them.
func TestARevealDoesNotReadTheOthers(t *testing.T) {
	db, err := Open(t.Context(), Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for exclusive, index := range map[bool]string{true: "checkouts_out", false: "checkouts_exclusive"} {
		plan := planOf(t, db, inTheWay(exclusive), "org_1", "acc_1")
		if len(plan) != 1 || !strings.Contains(plan[0], "INDEX "+index+" (org_id=? AND account_id=?)") {
			t.Errorf("exclusive %v: %s", exclusive, plan)
		}
	}
}

// planOf says how SQLite goes about a query.
func planOf(t *testing.T, db *DB, text string, args ...any) (plan []string) {
	t.Helper()
	rows, err := db.query(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return plan
}
