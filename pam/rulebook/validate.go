package rulebook

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// Limits of a policy, and of what an organization and a Safe may have of them.
const (
	maxDescription = 4096
	maxRanges      = 256
	maxPeople      = 1000 // users, and groups
	maxSafes       = 1000
	maxJIT         = 30 * 24 * 60 * 60 // seconds
	minJIT         = 60

	// MaxPolicies is how many an organization may have, MaxPerSafe how many may
	// be assigned to one Safe.
	MaxPolicies = 2000
	MaxPerSafe  = 100
)

// normal returns s in the one form in which it is kept.
func (s Settings) normal() Settings {
	c := &s.Conditions
	c.SourceIPs, c.ResourceTypes, c.Roles = single(c.SourceIPs), single(c.ResourceTypes), single(c.Roles)
	c.UserIDs, c.GroupIDs, s.SafeIDs = single(c.UserIDs), single(c.GroupIDs), single(s.SafeIDs)
	slices.Sort(s.SafeIDs)
	if s.Action == policy.RequireApproval && s.JIT == nil {
		s.JIT = &policy.JIT{Approvers: 1, AutoExpire: true}
	}
	return s
}

// single drops what is named a second time; an empty list is nil.
func single[T comparable](all []T) []T {
	var out []T
	seen := make(map[T]bool, len(all))
	for _, v := range all {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// check says what is not acceptable in s, which is normal.
func (s Settings) check(op string) error {
	var ps pam.Problems
	if p := naming.Problem(s.Name); p != "" {
		ps.Add("name", p)
	}
	if utf8.RuneCountInString(s.Description) > maxDescription {
		ps.Add("description", "is longer than 4096 characters")
	} else if p := naming.TextProblem(s.Description, true); p != "" {
		ps.Add("description", p)
	}
	if !slices.Contains(policy.Effects, s.Action) {
		ps.Add("action", "must be allow, deny, or require_approval")
	}
	s.checkJIT(&ps)
	s.checkConditions(&ps)
	idList(&ps, "safe_ids", s.SafeIDs, pam.PrefixSafe, maxSafes)
	return ps.Err(op)
}

func (s Settings) checkJIT(ps *pam.Problems) {
	switch j := s.JIT; {
	case j == nil:
	case s.Action != policy.RequireApproval:
		ps.Add("jit", "goes with the action require_approval alone")
	default:
		if j.Approvers != 1 && j.Approvers != 2 {
			ps.Add("jit.approvers", "must be 1 or 2")
		}
		if j.MaxSeconds != 0 && (j.MaxSeconds < minJIT || j.MaxSeconds > maxJIT) {
			ps.Add("jit.max_seconds", "must be 60 to 2592000, or 0 for as long as the request says")
		}
	}
}

func (s Settings) checkConditions(ps *pam.Problems) {
	c := s.Conditions
	c.TimeWindow.Check(ps, "conditions.time_window")
	if len(c.SourceIPs) > maxRanges {
		ps.Add("conditions.source_ips", "are more than 256")
	} else if slices.ContainsFunc(c.SourceIPs, func(r string) bool { _, err := policy.ParseRange(r); return err != nil }) {
		ps.Add("conditions.source_ips", "must be addresses or CIDR ranges, such as 10.0.0.0/8")
	}
	if c.MFARequired && s.Action == policy.Deny {
		ps.Add("conditions.mfa_required", "is a demand on whoever is let in: it does not go with the action deny")
	}
	if slices.ContainsFunc(c.ResourceTypes, func(p pam.Protocol) bool { return !slices.Contains(pam.Protocols, p) }) {
		ps.Add("conditions.resource_types", "must be types of resources")
	}
	if slices.ContainsFunc(c.Roles, func(r pam.Role) bool { return !r.Valid() }) {
		ps.Add("conditions.roles", "must be roles in the organization")
	}
	idList(ps, "conditions.user_ids", c.UserIDs, pam.PrefixUser, maxPeople)
	idList(ps, "conditions.group_ids", c.GroupIDs, pam.PrefixGroup, maxPeople)
}

// idList checks ids by their form; whether they exist says the store.
func idList[T ~string](ps *pam.Problems, field string, all []T, prefix string, most int) {
	if len(all) > most {
		ps.Add(field, fmt.Sprintf("are more than %d", most))
		return
	}
	if slices.ContainsFunc(all, func(id T) bool { return !ids.Valid(prefix, string(id)) }) {
		ps.Add(field, "must be ids that begin with "+prefix)
	}
}
