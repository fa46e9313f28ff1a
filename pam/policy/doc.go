package policy

import (
	"slices"
	"strings"

	"vaultpam/pam"
)

// Markdown prints the table for docs/permissions.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# Who may do what

This page is generated from the table in ` + "`pam/policy/roles.go`" + `, which decides; ` + "`go test ./pam/policy -update`" + ` writes it anew.

Any of the grounds in a row is enough: the role in the organization, the role in the Safe that the act is about, or that the object is
one's own (made by the actor, or about the actor). *See all* needs the organization's ` + "`admins_see_all`" + `. An auditor's role in a Safe
counts as viewer, whatever it was before. Step-up is an authentication in the last 15 minutes, which a personal access token can never
show. A dash for the scope means that no personal access token can do this.

| act | role in the organization | role in the Safe | see all | own | step-up | token scope | rule beside the table |
|---|---|---|---|---|---|---|---|
`)
	for _, r := range Table {
		cells := []string{
			r.Does, words(r.Org, pam.Roles), words(r.Safe, pam.SafeRoles), words(r.SeeAll, pam.Roles), words(r.Own, pam.Roles),
			[]string{"", "sometimes", "always"}[r.StepUp], scope(r.Scope), r.Note,
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	return b.String()
}

// words lists roles in their usual order; all of them are "any".
func words[T ~string](roles, all []T) string {
	if len(roles) == len(all) {
		return "any"
	}
	var out []string
	for _, r := range all {
		if slices.Contains(roles, r) {
			out = append(out, string(r))
		}
	}
	return strings.Join(out, ", ")
}

func scope(s string) string {
	if s == "-" {
		return "–"
	}
	return "`" + s + "`"
}
