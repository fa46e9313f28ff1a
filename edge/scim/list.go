package scim

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"vaultpam/pam"
	"vaultpam/pam/provisioning"
)

// Limits on lists.
const (
	defaultCount = 100
	maxCount     = 1000
	batch        = 500    // read at a time while a filter is tried
	maxScan      = 50_000 // tried by one filter
	maxShown     = 20_000 // members of the groups of one page together, unless the first has more
)

// search is what a list is asked for (RFC 7644 sections 3.4.2 and 3.4.3).
type search struct {
	filter       *expr
	start, count int // start is from 1
	show         projection
}

func (q *request) search() (s search, err error) {
	text := func(name string) string { return q.query.Get(name) }
	if s.filter, err = filterOf(text("filter")); err != nil {
		return s, err
	}
	start, count := 1, defaultCount
	for _, n := range []struct {
		name string
		into *int
	}{{"startIndex", &start}, {"count", &count}} {
		if text(n.name) == "" {
			continue
		}
		if *n.into, err = strconv.Atoi(text(n.name)); err != nil {
			return s, badValue(n.name, "must be a number")
		}
	}
	s.start, s.count = window(start, count)
	s.show, err = q.projection()
	return s, err
}

func (q *request) projection() (projection, error) {
	return parseProjection(strings.Split(q.query.Get("attributes"), ","), strings.Split(q.query.Get("excludedAttributes"), ","))
}

func filterOf(text string) (*expr, error) {
	if text == "" {
		return nil, nil
	}
	return parseFilter(text)
}

// window takes what is out of range as section 3.4.2.4 says.
func window(start, count int) (from, many int) {
	return max(1, start), min(max(0, count), maxCount)
}

// searchBody is search for a POST to .search.
func (q *request) searchBody() (s search, err error) {
	body, err := q.body()
	if err != nil {
		return s, err
	}
	if err := checkSchemas(body, schemaSearch); err != nil {
		return s, err
	}
	text, err := asText("filter", get(body, "filter"))
	if err != nil {
		return s, err
	}
	if s.filter, err = filterOf(text); err != nil {
		return s, err
	}
	start, count := 1, defaultCount
	for _, n := range []struct {
		name string
		into *int
	}{{"startIndex", &start}, {"count", &count}} {
		if v := get(body, n.name); v != nil {
			var ok bool
			if *n.into, ok = number(v); !ok {
				return s, badValue(n.name, "must be a number")
			}
		}
	}
	s.start, s.count = window(start, count)
	var lists [2][]string
	for i, name := range []string{"attributes", "excludedAttributes"} {
		list, _ := get(body, name).([]any)
		for _, x := range list {
			t, err := asText(name, x)
			if err != nil {
				return s, err
			}
			lists[i] = append(lists[i], t)
		}
	}
	s.show, err = parseProjection(lists[0], lists[1])
	return s, err
}

// page collects what a list comes to.
type page struct {
	search
	total int
	rows  []resource
}

func (s search) answer(total int, rows []resource) answer {
	out := make([]any, len(rows))
	for i, r := range rows {
		out[i] = s.show.apply(r)
	}
	return answer{status: http.StatusOK, body: resource{
		"schemas": []any{schemaList}, "totalResults": total, "startIndex": s.start, "itemsPerPage": len(rows), "Resources": out,
	}}
}

// offer counts a match, and keeps it if it is on the page.
func (p *page) offer(r resource) {
	p.total++
	if p.total >= p.start && len(p.rows) < p.count {
		p.rows = append(p.rows, r)
	}
}

func tooMany() error {
	return &problemError{status: http.StatusBadRequest, kind: "tooMany", detail: "The filter would have to be tried on too many resources; name a userName, displayName, externalId or id with eq."}
}

// users are the users that a search finds, and how many there are in all.
func (h *Handler) users(ctx context.Context, f provisioning.Feed, s search) (int, []resource, error) {
	if s.filter == nil {
		total, err := h.Provisioning.CountUsers(ctx, f, provisioning.Query{})
		if err != nil || s.count == 0 {
			return total, nil, err
		}
		rows, err := h.Provisioning.Users(ctx, f, provisioning.Query{Skip: s.start - 1, Limit: s.count})
		if err != nil {
			return 0, nil, err
		}
		out, err := h.usersOf(ctx, f, rows, s.show.wants("groups"))
		return total, out, err
	}
	p := &page{search: s}
	q := provisioning.Query{ID: s.filter.equal("id", ""), Key: strings.ToLower(s.filter.equal("username", "")), ExternalID: s.filter.equal("externalid", ""), Limit: batch}
	for seen := 0; ; {
		rows, err := h.Provisioning.Users(ctx, f, q)
		if err != nil {
			return 0, nil, err
		}
		if seen += len(rows); seen > maxScan {
			return 0, nil, tooMany()
		}
		all, err := h.usersOf(ctx, f, rows, s.show.wants("groups") || s.filter.mentions("groups") > 0)
		if err != nil {
			return 0, nil, err
		}
		for _, r := range all {
			if s.filter.match(r) {
				p.offer(r)
			}
		}
		if len(rows) < batch {
			return p.total, p.rows, nil
		}
		q.After = string(rows[len(rows)-1].ID)
	}
}

func (h *Handler) usersOf(ctx context.Context, f provisioning.Feed, rows []provisioning.User, groups bool) ([]resource, error) {
	in := map[pam.UserID][]provisioning.Membership{}
	if groups && len(rows) > 0 {
		who := make([]pam.UserID, len(rows))
		for i, u := range rows {
			who[i] = u.ID
		}
		all, err := h.Provisioning.GroupsOf(ctx, f, who)
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			in[m.User] = append(in[m.User], m)
		}
	}
	out := make([]resource, len(rows))
	for i, u := range rows {
		out[i] = h.userOf(u, in[u.ID])
	}
	return out, nil
}

// groups are the groups that a search finds, and how many there are in all.
func (h *Handler) groups(ctx context.Context, f provisioning.Feed, s search) (int, []resource, error) {
	q := provisioning.Query{Limit: batch}
	if s.filter == nil {
		total, err := h.Provisioning.CountGroups(ctx, f, q)
		if err != nil || s.count == 0 {
			return total, nil, err
		}
		q.Skip, q.Limit = s.start-1, s.count
		rows, err := h.Provisioning.Groups(ctx, f, q, false)
		if err != nil {
			return 0, nil, err
		}
		out, err := h.filled(ctx, f, s, rows)
		return total, out, err
	}
	q.ID, q.Key, q.ExternalID = s.filter.equal("id", ""), s.filter.equal("displayname", ""), s.filter.equal("externalid", "")
	q.Member = pam.UserID(s.filter.equal("members", "value"))
	// A member by whom the database has found the groups need not be looked for
	// among all of theirs.
	mentions := s.filter.mentions("members")
	known := q.Member != "" && mentions == 1
	var found []provisioning.Group
	total := 0
	for seen := 0; ; {
		rows, err := h.Provisioning.Groups(ctx, f, q, mentions > 0 && !known)
		if err != nil {
			return 0, nil, err
		}
		for _, g := range rows {
			if seen++; mentions > 0 && !known {
				seen += g.Count
			}
			if known {
				g.Members = []pam.UserID{q.Member}
			}
			if s.filter.match(h.groupOf(g)) {
				if total++; total >= s.start && len(found) < s.count {
					g.Members = nil
					found = append(found, g)
				}
			}
		}
		if seen > maxScan {
			return 0, nil, tooMany()
		}
		if len(rows) < batch {
			out, err := h.filled(ctx, f, s, found)
			return total, out, err
		}
		q.After = string(rows[len(rows)-1].ID)
	}
}

// filled brings the members, where they are wanted. A page ends early where its
// groups are large; itemsPerPage says so.
func (h *Handler) filled(ctx context.Context, f provisioning.Feed, s search, rows []provisioning.Group) ([]resource, error) {
	members := s.show.wants("members")
	var out []resource
	shown := 0
	for _, g := range rows {
		if members {
			if shown += g.Count; shown > maxShown && len(out) > 0 {
				break
			}
			var err error
			if g, err = h.Provisioning.Group(ctx, f, g.ID, true); pam.Is(err, pam.NotFound) {
				continue
			} else if err != nil {
				return nil, err
			}
		}
		out = append(out, h.groupOf(g))
	}
	return out, nil
}

// all are users, then groups: a search at the root.
func (h *Handler) all(ctx context.Context, f provisioning.Feed, s search) (answer, error) {
	users, rows, err := h.users(ctx, f, s)
	if err != nil {
		return answer{}, err
	}
	rest := s
	rest.start, rest.count = max(1, s.start-users), s.count-len(rows)
	groups, more, err := h.groups(ctx, f, rest)
	if err != nil {
		return answer{}, err
	}
	return s.answer(users+groups, append(rows, more...)), nil
}

func (h *Handler) listAll(ctx context.Context, q *request) (answer, error) {
	s, err := q.search()
	if err != nil {
		return answer{}, err
	}
	return h.all(ctx, q.feed, s)
}

func (h *Handler) searchAll(ctx context.Context, q *request) (answer, error) {
	s, err := q.searchBody()
	if err != nil {
		return answer{}, err
	}
	return h.all(ctx, q.feed, s)
}
