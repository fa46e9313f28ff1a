package account

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
)

// Ephemeral says what is made at each launch for an account of which no secret
// is kept. It holds no secret, and everybody sees it who sees the account. The
// zero value of a field is the default of whoever makes the credential.
type Ephemeral struct {
	Principals       []string      `json:"principals,omitempty"` // of an SSH certificate; empty: the username
	TTLSeconds       int           `json:"ttl_seconds,omitempty"`
	AdminAccountID   pam.AccountID `json:"admin_account_id,omitempty"` // that makes and drops the user of a database
	CreateStatements []string      `json:"create_statements,omitempty"`
	RevokeStatements []string      `json:"revoke_statements,omitempty"`
	Rules            []string      `json:"rules,omitempty"` // of a Redis user
}

const (
	minEphemeralSeconds = 30
	maxEphemeralSeconds = 24 * 60 * 60
	// maxCertificateSeconds is sshca.MaxTTL.
	maxCertificateSeconds = 15 * 60
	maxPrincipals         = 16
	maxStatements         = 16
	maxStatement          = 4096
	maxRules              = 64
	maxRule               = 256
)

// check says what is not acceptable; nil is.
func (e *Ephemeral) check(ps *pam.Problems) {
	if e == nil {
		return
	}
	const field = "credential.ephemeral."
	if e.TTLSeconds != 0 && (e.TTLSeconds < minEphemeralSeconds || e.TTLSeconds > maxEphemeralSeconds) {
		ps.Add(field+"ttl_seconds", fmt.Sprintf("must be from %d to %d", minEphemeralSeconds, maxEphemeralSeconds))
	}
	if e.AdminAccountID != "" && !ids.Valid(pam.PrefixAccount, string(e.AdminAccountID)) {
		ps.Add(field+"admin_account_id", "is not the id of an account")
	}
	lines := func(name string, lines []string, most, longest int, ok func(string) bool) {
		if len(lines) > most {
			ps.Add(field+name, fmt.Sprintf("are more than %d", most))
			return
		}
		for i, line := range lines {
			if strings.TrimSpace(line) == "" || utf8.RuneCountInString(line) > longest || !ok(line) {
				ps.Add(fmt.Sprintf("%s%s[%d]", field, name, i), fmt.Sprintf("must be 1 to %d characters of text", longest))
				return
			}
		}
	}
	// sshd splits lists of principals at commas.
	lines("principals", e.Principals, maxPrincipals, maxUsername, func(s string) bool {
		return naming.TextProblem(s, false) == "" && !strings.Contains(s, ",")
	})
	text := func(s string) bool { return naming.TextProblem(s, true) == "" }
	lines("create_statements", e.CreateStatements, maxStatements, maxStatement, text)
	lines("revoke_statements", e.RevokeStatements, maxStatements, maxStatement, text)
	lines("rules", e.Rules, maxRules, maxRule, func(s string) bool { return naming.TextProblem(s, false) == "" })
}

// fit refuses settings that mean nothing at resources of the type, so that
// nobody believes that they hold.
func (e *Ephemeral) fit(op string, at pam.Protocol) error {
	if e == nil || at == "" {
		return nil
	}
	var ps pam.Problems
	refuse := func(name string, given, fits bool) {
		if given && !fits {
			ps.Add("credential.ephemeral."+name, "does not belong to a resource of the type "+string(at))
		}
	}
	if at == pam.SSH && e.TTLSeconds > maxCertificateSeconds {
		ps.Add("credential.ephemeral.ttl_seconds", fmt.Sprintf("must be from %d to %d for certificates: they are for logging in", minEphemeralSeconds, maxCertificateSeconds))
	}
	refuse("principals", len(e.Principals) > 0, at == pam.SSH)
	refuse("admin_account_id", e.AdminAccountID != "", at != pam.SSH)
	refuse("create_statements", len(e.CreateStatements) > 0, at != pam.SSH && at != pam.Redis)
	refuse("revoke_statements", len(e.RevokeStatements) > 0, at != pam.SSH && at != pam.Redis)
	refuse("rules", len(e.Rules) > 0, at == pam.Redis)
	return ps.Err(op)
}
