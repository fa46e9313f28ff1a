package rotation

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// Settings say how an account's credential is changed and looked after. The
// zero value is: by the account itself, where it is used, at any time. The
// tags are the form in which the store keeps it.
type Settings struct {
	// Resource is where the credential is changed: one at which the account is
	// used. "": the only one.
	Resource pam.ResourceID `json:"resource_id,omitempty"`
	// Login is how the account is called there, such as its name in a
	// directory; "": its username.
	Login string `json:"login,omitempty"`
	// Attribute of a directory that takes the password; "": by the extended
	// operation of RFC 3062.
	Attribute string `json:"attribute,omitempty"`
	// Reconcile is the account that helps where this one cannot log in any
	// more; with ByReconcile it always does.
	Reconcile   pam.AccountID `json:"reconcile_account_id,omitempty"`
	ByReconcile bool          `json:"by_reconcile,omitempty"`
	// Generation is the policy of new values, in the words of package account;
	// empty: its default for the kind.
	Generation json.RawMessage `json:"generation,omitempty"`
	// Window is when the schedule may act; nil: at any time.
	Window *policy.Hours `json:"window,omitempty"`
	// JitterSeconds spreads what the schedule would do at once over a time.
	JitterSeconds int         `json:"jitter_seconds,omitempty"`
	Dependents    []Dependent `json:"dependents,omitempty"`
	// CheckHours is how often it is tried whether the credential logs in; 0:
	// never.
	CheckHours int `json:"check_hours,omitempty"`
}

// Dependent is a place that holds a copy: a file on a host, or one line of it.
type Dependent struct {
	Resource pam.ResourceID `json:"resource_id"`
	Account  pam.AccountID  `json:"account_id"` // that logs in there
	Path     string         `json:"path"`
	Key      string         `json:"key,omitempty"` // of a line KEY=value; "": the file is the value
}

// String names the place for people.
func (d Dependent) String() string {
	if d.Key == "" {
		return d.Path
	}
	return d.Path + " (" + d.Key + ")"
}

// Limits of settings.
const (
	maxLogin      = 1024
	maxJitter     = 7 * 24 * 60 * 60
	maxDependents = 16
	maxPath       = 1024
	maxKey        = 128
	maxCheckHours = 24 * 90
	maxGeneration = 4096
)

// UnicodePwd is the attribute of Active Directory.
const UnicodePwd = "unicodePwd"

func (s Settings) check(op string) error {
	var ps pam.Problems
	if s.Resource != "" && !ids.Valid(pam.PrefixResource, string(s.Resource)) {
		ps.Add("resource_id", "is not the id of a resource")
	}
	if utf8.RuneCountInString(s.Login) > maxLogin {
		ps.Add("login", fmt.Sprintf("is longer than %d characters", maxLogin))
	} else if p := naming.TextProblem(s.Login, false); s.Login != "" && p != "" {
		ps.Add("login", p)
	}
	if s.Attribute != "" && s.Attribute != UnicodePwd {
		ps.Add("attribute", "must be unicodePwd, or absent")
	}
	if s.Reconcile != "" && !ids.Valid(pam.PrefixAccount, string(s.Reconcile)) {
		ps.Add("reconcile_account_id", "is not the id of an account")
	}
	if s.ByReconcile && s.Reconcile == "" {
		ps.Add("by_reconcile", "needs a reconcile_account_id")
	}
	if len(s.Generation) > maxGeneration {
		ps.Add("generation", fmt.Sprintf("is longer than %d bytes", maxGeneration))
	}
	s.Window.Check(&ps, "window")
	if s.JitterSeconds < 0 || s.JitterSeconds > maxJitter {
		ps.Add("jitter_seconds", fmt.Sprintf("must be 0 to %d", maxJitter))
	}
	if s.CheckHours < 0 || s.CheckHours > maxCheckHours {
		ps.Add("check_hours", fmt.Sprintf("must be 0 to %d", maxCheckHours))
	}
	if len(s.Dependents) > maxDependents {
		ps.Add("dependents", fmt.Sprintf("are more than %d", maxDependents))
	}
	for _, d := range s.Dependents {
		d.check(&ps)
	}
	return ps.Err(op)
}

func (d Dependent) check(ps *pam.Problems) {
	if !ids.Valid(pam.PrefixResource, string(d.Resource)) {
		ps.Add("dependents.resource_id", "is not the id of a resource")
	}
	if !ids.Valid(pam.PrefixAccount, string(d.Account)) {
		ps.Add("dependents.account_id", "is not the id of an account")
	}
	switch p := d.Path; {
	case len(p) > maxPath, !path.IsAbs(p), path.Clean(p) != p, naming.TextProblem(p, false) != "":
		ps.Add("dependents.path", "must be the absolute path of a file, without detours")
	}
	if len(d.Key) > maxKey || d.Key != "" && strings.Trim(d.Key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") != "" {
		ps.Add("dependents.key", "must be letters, digits and _ . -")
	}
}

// opens returns the first moment from at on in which the schedule may act: the
// account's share of the jitter later, and within the window.
func (s Settings) opens(id pam.AccountID, at, now time.Time) time.Time {
	if s.JitterSeconds > 0 {
		// The same for an account every time, so that a restart does not draw anew.
		var h uint64 = 14695981039346656037 // FNV-1a
		for i := range len(id) {
			h = (h ^ uint64(id[i])) * 1099511628211
		}
		at = at.Add(time.Duration(h%uint64(s.JitterSeconds)) * time.Second)
	}
	if at.Before(now) {
		at = now
	}
	week, err := s.Window.Compile()
	if err != nil {
		return now.Add(time.Hour) // a time zone that this machine does not know: never
	}
	if week == nil {
		return at
	}
	for t := at.Truncate(time.Minute); t.Before(at.Add(8 * 24 * time.Hour)); t = t.Add(time.Minute) {
		if week.Contains(t) {
			return later(t, at)
		}
	}
	return at.Add(8 * 24 * time.Hour)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
