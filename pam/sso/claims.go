package sso

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// newcomer is somebody on their way in.
type newcomer struct {
	p       Provider
	claims  Claims
	person  Person
	arrival Arrival
	now     time.Time
	c       Client
	renewed bool // the identity counts again
}

// renew makes an identity count that is older than whoever vouches now.
func (w *newcomer) renew() {
	if w.arrival.Identity.CreatedAt.Before(w.p.since()) {
		w.arrival.Identity.CreatedAt, w.renewed = w.now, true
	}
}

// make gives the subject to the person.
func (w *newcomer) make(s *Service, how string) {
	w.arrival.New = true
	w.arrival.Identity = Identity{
		ID: pam.IdentityID(s.IDs.New(pam.PrefixIdentity)), Org: w.p.Org, Issuer: w.p.Issuer, Subject: w.claims.Subject, User: w.person.User, LinkedBy: how, CreatedAt: w.now,
	}
}

// apply finds out what the rules make of somebody: the groups that the provider
// fills, and the role of those who are at home here. Whoever is a guest has
// their role by hand, and an owner theirs by an owner.
func (s *Service) apply(ctx context.Context, w *newcomer) error {
	w.arrival.At, w.arrival.RoleWas = w.now, w.person.Role
	if email, ok := w.claims.All["email"].(string); ok && len(email) <= maxValue && naming.TextProblem(email, false) == "" {
		w.arrival.Identity.Email = email
	}
	matched, said := w.matched()
	if w.arrival.Person != nil || (said && w.person.Home == w.p.Org && w.person.Role != pam.Owner && !w.person.Machine) {
		w.arrival.Role = w.p.DefaultRole
		best := pam.Role("")
		for _, r := range matched {
			if r.Role != "" && (best == "" || r.Role.Above(best)) {
				best = r.Role
			}
		}
		if best != "" {
			w.arrival.Role = best
		}
		if w.arrival.Person == nil && w.arrival.Role == w.person.Role {
			w.arrival.Role = ""
		}
	}
	var want []pam.GroupID
	for _, r := range matched {
		want = append(want, r.Groups...)
	}
	want = single(want)
	feeds := w.p.Feeds()
	if len(feeds) == 0 {
		return nil
	}
	have, err := s.Store.GroupsAmong(ctx, w.p.Org, w.person.User, feeds)
	if err != nil {
		return err
	}
	for _, g := range feeds {
		switch in, should := slices.Contains(have, g), slices.Contains(want, g); {
		case should && !in:
			w.arrival.Join = append(w.arrival.Join, g)
		case in && !should:
			w.arrival.Leave = append(w.arrival.Leave, g)
		}
	}
	return nil
}

// matched are the rules that the values of the group claim meet, and whether
// any rule is about roles.
func (w *newcomer) matched() (rules []Rule, roles bool) {
	wanted := map[string]bool{}
	for _, r := range w.p.Rules {
		wanted[r.Value] = false
		roles = roles || r.Role != ""
	}
	for _, v := range texts(w.claims.All[w.p.GroupClaim]) {
		if _, asked := wanted[v]; asked {
			wanted[v] = true
		}
	}
	for _, r := range w.p.Rules {
		if wanted[r.Value] {
			rules = append(rules, r)
		}
	}
	return rules, roles
}

// texts is a claim that is a text or a list of texts. Of anything else nothing
// is read.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		out := make([]string, 0, len(v))
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// email is the address that the provider says is verified, in one of the
// domains, if there are any.
func (c Claims) email(domains []string) (string, bool) {
	text, _ := c.All["email"].(string)
	email, ok := naming.Email(text)
	if !ok || !yes(c.All["email_verified"]) && !yes(c.All["xms_edov"]) { // the second is Entra's word for it
		return "", false
	}
	if _, domain, _ := strings.Cut(email, "@"); len(domains) > 0 && !slices.Contains(domains, domain) {
		return "", false
	}
	return email, true
}

// yes reads a claim that some providers send as a text or a number.
func yes(v any) bool { return v == true || v == "true" || v == "1" || v == float64(1) }

func (c Claims) name(email string) string {
	name, _ := c.All["name"].(string)
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > 64 || naming.Problem(name) != "" {
		name, _, _ = strings.Cut(email, "@")
		name = name[:min(len(name), 64)]
	}
	return name
}

// strong are the methods that show a second factor (RFC 8176 section 2).
var strong = []string{"mfa", "otp", "hwk", "sc", "fido", "pop"}

func (c Claims) secondFactor() bool {
	return slices.ContainsFunc(texts(c.All["amr"]), func(m string) bool { return slices.Contains(strong, m) })
}

// authenticatedAt is when the provider says it asked the person who they are;
// nil where it does not say so.
func authenticatedAt(c Claims, now time.Time) *time.Time {
	n, ok := c.All["auth_time"].(float64)
	if !ok || n <= 0 || n > 1<<40 {
		return nil
	}
	at := time.Unix(int64(n), 0).UTC()
	if at.After(now) {
		at = now
	}
	return &at
}

// entries are the events of an arrival. The person is who acts.
func (w *newcomer) entries(s *Service) []audit.Entry {
	a := pam.Actor{User: w.person.User, Email: w.person.Email, Org: w.p.Org, HomeOrg: w.person.Home, From: w.c.From, RequestID: w.c.RequestID}
	who := audit.Party{Type: "user", ID: string(w.person.User), Name: w.person.Email}
	var out []audit.Entry
	note := func(t audit.Type, target audit.Party, more map[string]any) {
		metadata := map[string]any{"provider_id": string(w.p.ID)}
		for k, v := range more {
			metadata[k] = v
		}
		out = append(out, s.Scribe.Entry(a, t, target, metadata))
	}
	if w.arrival.Person != nil {
		note(audit.MemberAdded, who, map[string]any{"role": string(w.arrival.Role)})
	} else if w.arrival.Role != "" {
		note(audit.RoleAssignmentChanged, who, map[string]any{"from": string(w.arrival.RoleWas), "to": string(w.arrival.Role)})
	}
	if w.arrival.New || w.renewed {
		note(audit.SSOIdentityLinked, who, map[string]any{"issuer": w.p.Issuer, "subject": w.claims.Subject, "linked_by": w.arrival.Identity.LinkedBy})
	}
	for _, g := range w.arrival.Join {
		note(audit.GroupMemberAdded, audit.Party{Type: "group", ID: string(g)}, map[string]any{"user_ids": []string{string(w.person.User)}})
	}
	for _, g := range w.arrival.Leave {
		note(audit.GroupMemberRemoved, audit.Party{Type: "group", ID: string(g)}, map[string]any{"user_ids": []string{string(w.person.User)}})
	}
	return out
}
