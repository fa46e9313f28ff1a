package safe

import (
	"slices"
	"time"
	"unicode/utf8"

	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
)

// Limits of a Safe's settings; times in seconds.
const (
	maxDescription = 4096
	maxBindings    = 64
	maxTTL         = 30 * 24 * 60 * 60
	maxGrace       = 60 * 60
	maxInterval    = 3650
	maxNamed       = 32 // for emergencies
)

// check says what is not acceptable in s, whose defaults are filled in.
func (s Settings) check(op string) error {
	var ps pam.Problems
	if p := naming.Problem(s.Name); p != "" {
		ps.Add("name", p)
	}
	if s.Slug != "" {
		if p := naming.SlugProblem(s.Slug); p != "" {
			ps.Add("slug", p)
		}
	}
	if utf8.RuneCountInString(s.Description) > maxDescription {
		ps.Add("description", "is longer than 4096 characters")
	} else if p := naming.TextProblem(s.Description, true); p != "" {
		ps.Add("description", p)
	}
	s.checkBindings(&ps)
	oneOf(&ps, "approval", s.Approval, ApprovalNone, ApprovalSingle, ApprovalDual)
	oneOf(&ps, "recording", s.Recording, RecordingOn, RecordingOff)
	oneOf(&ps, "recording_failure.mode", s.RecordingFailure.Mode, FailClosed, FailGrace)
	switch g := s.RecordingFailure.GraceSeconds; {
	case s.RecordingFailure.Mode == FailGrace:
		between(&ps, "recording_failure.grace_seconds", g, 1, maxGrace, "must be 1 to 3600")
	case g != 0:
		ps.Add("recording_failure.grace_seconds", "needs the mode grace")
	}
	oneOf(&ps, "clipboard", s.Clipboard, Audited, Allowed, Blocked)
	oneOf(&ps, "file_transfer", s.FileTransfer, Audited, Allowed, Blocked)
	between(&ps, "session_ttl_seconds", s.SessionTTLSeconds, 1, maxTTL, "must be 1 to 2592000")
	s.ValidHours.Check(&ps, "valid_hours")
	between(&ps, "checkout.ttl_seconds", s.Checkout.TTLSeconds, 1, maxTTL, "must be 1 to 2592000")
	oneOf(&ps, "visibility", s.Visibility, MembersOnly, Requestable)
	between(&ps, "rotation.interval_days", s.Rotation.IntervalDays, 0, maxInterval, "must be 0 to 3650")
	if t := s.CredentialExpiresAt; t != nil && (t.Year() < 2000 || t.Year() > 9999) {
		ps.Add("credential_expires_at", "is out of range")
	}
	if len(s.BreakGlass.UserIDs) > maxNamed {
		ps.Add("break_glass.user_ids", "are more than 32")
	}
	for i, u := range s.BreakGlass.UserIDs {
		if !ids.Valid(pam.PrefixUser, string(u)) || slices.Contains(s.BreakGlass.UserIDs[:min(i, maxNamed)], u) {
			ps.Add("break_glass.user_ids", "must be ids of users, each once")
			break
		}
	}
	return ps.Err(op)
}

func (s Settings) checkBindings(ps *pam.Problems) {
	if len(s.Bindings) > maxBindings {
		ps.Add("bindings", "are more than 64")
		return
	}
	for i, b := range s.Bindings {
		switch {
		case !ids.Valid(pam.PrefixResource, string(b.ResourceID)):
			ps.Add("bindings.resource_id", "is not the id of a resource")
		case !ids.Valid(pam.PrefixAccount, string(b.AccountID)):
			ps.Add("bindings.account_id", "is not the id of an account")
		case slices.Contains(s.Bindings[:i], b):
			ps.Add("bindings", "name the same pair twice")
		}
	}
}

func oneOf[T ~string](ps *pam.Problems, field string, v T, allowed ...T) {
	if slices.Contains(allowed, v) {
		return
	}
	problem := "must be "
	for i, a := range allowed {
		if i > 0 {
			problem += ", "
		}
		if i == len(allowed)-1 && i > 0 {
			problem += "or "
		}
		problem += string(a)
	}
	ps.Add(field, problem)
}

func between(ps *pam.Problems, field string, v, least, most int, problem string) {
	if v < least || v > most {
		ps.Add(field, problem)
	}
}

// normal returns s in the one form in which it is kept, so that equal
// settings compare equal.
func (s Settings) normal() Settings {
	s = s.WithDefaults()
	if s.CredentialExpiresAt != nil {
		t := s.CredentialExpiresAt.UTC().Truncate(time.Microsecond)
		s.CredentialExpiresAt = &t
	}
	if len(s.Bindings) == 0 {
		s.Bindings = nil
	}
	if len(s.BreakGlass.UserIDs) == 0 {
		s.BreakGlass.UserIDs = nil
	}
	return s
}
