package store

import (
	"strings"
	"time"

	"vaultpam/internal/ids"
	"vaultpam/pam"
)

// page builds the query of one page of sessions or recordings, newest first.
type page struct {
	table, columns, id, prefix string
	org                        pam.OrgID
	where                      where
	before                     string
	limit                      int
	from, until                time.Time
	arms                       []where // what may be seen; none: everything
	limited                    bool
}

func (p *page) equal(column, value string) {
	if value != "" {
		p.where.and(column+" = ?", value)
	}
}

// manySafes is how many Safes get an arm of the query each, which an index
// answers in order; more are looked up together.
const manySafes = 16

// visibleTo narrows to rows of the user or of any of the Safes.
func (p *page) visibleTo(user pam.UserID, safes []pam.SafeID) {
	p.limited = true
	var own where
	own.and("user_id = ?", string(user))
	p.arms = append(p.arms, own)
	if len(safes) > manySafes {
		var w where
		in, args := inList(safes)
		w.and("safe_id IN "+in, args...)
		p.arms = append(p.arms, w)
		return
	}
	for _, s := range safes {
		var w where
		w.and("safe_id = ?", string(s))
		p.arms = append(p.arms, w)
	}
}

// skew is how far the time in an id may be from the time in its row: a launch
// waits for its user, and a clock may have been set.
const skew = time.Hour

func (p *page) sql() (string, []any) {
	w := p.where
	if p.before != "" {
		w.and(p.id+" < ?", p.before)
	}
	if !p.from.IsZero() {
		w.and(p.id+" >= ? AND started_at >= ?", ids.Lowest(p.prefix, p.from.Add(-skew)), micros(p.from))
	}
	if !p.until.IsZero() {
		w.and(p.id+" < ? AND started_at < ?", ids.Lowest(p.prefix, p.until.Add(skew)), micros(p.until))
	}
	limit := p.limit
	if limit <= 0 {
		limit = 50
	}
	if !p.limited {
		p.arms = []where{{}}
	}
	var parts []string
	args := []any{string(p.org)}
	for _, arm := range p.arms {
		text := "SELECT " + p.id + " FROM " + p.table + " WHERE org_id = ?"
		args = append(args, string(p.org))
		for _, c := range [...]where{arm, w} {
			if len(c.conditions) > 0 {
				text += " AND " + c.String()
				args = append(args, c.args...)
			}
		}
		parts = append(parts, "SELECT * FROM ("+text+" ORDER BY "+p.id+" DESC LIMIT ?) AS arm")
		args = append(args, limit)
	}
	// The ids first: they are found in indexes alone.
	return "SELECT " + p.columns + " FROM " + p.table + " WHERE org_id = ? AND " + p.id + " IN (" + strings.Join(parts, " UNION ") + ") ORDER BY " + p.id + " DESC LIMIT ?", append(args, limit)
}
