package pam

import "time"

// Assertion is somebody's word for a person: who they are, in which
// organization that counts, and on whose word it rests. Whoever holds one has
// checked it.
type Assertion struct {
	Org          OrgID
	User         UserID
	Provider     ProviderID
	Identity     IdentityID
	At           time.Time // when the person authenticated
	SecondFactor bool
}

// Workload is a program that has shown what a rule of the organization asks.
type Workload struct {
	Org     OrgID
	User    UserID // the service user that it acts as
	Rule    WorkloadRuleID
	Name    string // of the rule
	Version int64  // of the rule that was matched
	Subject string // as its issuer calls it
	Scopes  []string
	TTL     time.Duration
}
