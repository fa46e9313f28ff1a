package pam

import (
	"net/netip"
	"slices"
	"time"
)

// Role is what a user may do in an organization.
type Role string

// The roles in an organization.
const (
	Owner         Role = "owner"
	Admin         Role = "admin"
	PolicyManager Role = "policy_manager"
	Operator      Role = "operator"
	Auditor       Role = "auditor"
)

// Roles lists them from the most to the least powerful.
var Roles = []Role{Owner, Admin, PolicyManager, Operator, Auditor}

// Valid says whether r is one of the five.
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// Above says whether r stands strictly higher than s. Operator and auditor
// stand equally low: neither manages anybody.
func (r Role) Above(s Role) bool { return r.rank() > s.rank() }

func (r Role) rank() int {
	switch r {
	case Owner:
		return 4
	case Admin:
		return 3
	case PolicyManager:
		return 2
	case Operator, Auditor:
		return 1
	}
	return 0
}

// SafeRole is what somebody may do with one Safe: a role that was given to a
// member, or what several of these come to together. "" is none.
type SafeRole string

// The roles in a Safe. Viewer is contained in operator, operator in manager;
// approver is viewer and decides requests.
const (
	SafeViewer   SafeRole = "viewer"
	SafeOperator SafeRole = "operator"
	SafeManager  SafeRole = "manager"
	SafeApprover SafeRole = "approver"
)

// What nobody is given, but has through a group beside a role of their own.
const (
	SafeOperatorApprover SafeRole = "operator+approver"
	SafeManagerApprover  SafeRole = "manager+approver"
)

// SafeRoles lists those that a member can be given.
var SafeRoles = []SafeRole{SafeViewer, SafeOperator, SafeManager, SafeApprover}

// safeRights are the steps that each role is made of: seeing, using, managing
// and deciding. Every union of roles is a role.
var safeRights = map[SafeRole]uint8{
	SafeViewer: 1, SafeOperator: 1 | 2, SafeManager: 1 | 2 | 4, SafeApprover: 1 | 8,
	SafeOperatorApprover: 1 | 2 | 8, SafeManagerApprover: 1 | 2 | 4 | 8,
}

var safeRoleWith = func() map[uint8]SafeRole {
	m := map[uint8]SafeRole{}
	for role, rights := range safeRights {
		m[rights] = role
	}
	return m
}()

// Valid says whether r is one that a member can be given.
func (r SafeRole) Valid() bool { return slices.Contains(SafeRoles, r) }

// Includes says whether r gives everything that s does. No role includes none.
func (r SafeRole) Includes(s SafeRole) bool {
	rights := safeRights[s]
	return rights != 0 && safeRights[r]&rights == rights
}

// With is what r and s come to together.
func (r SafeRole) With(s SafeRole) SafeRole { return safeRoleWith[safeRights[r]|safeRights[s]] }

// Given lists the roles that r is made of, without those that another of them
// includes.
func (r SafeRole) Given() []SafeRole {
	switch r {
	case "":
		return nil
	case SafeOperatorApprover:
		return []SafeRole{SafeOperator, SafeApprover}
	case SafeManagerApprover:
		return []SafeRole{SafeManager, SafeApprover}
	}
	return []SafeRole{r}
}

// TokenKind is how the actor proved who they are.
type TokenKind string

// The kinds of token.
const (
	LoginToken     TokenKind = "login"    // vps_
	PersonalToken  TokenKind = "personal" // vpt_
	NativeLogin    TokenKind = "native"   // a native protocol's own authentication, such as SSH's
	SystemToken    TokenKind = "system"   // the server itself: jobs, init, dev seeding
	DirectoryToken TokenKind = "scim"     // vpc_: a directory that fills an organization; nobody's, and without a role
)

// Actor is who asks. It is passed as an explicit argument to every service
// and never hidden in a context.
type Actor struct {
	User          UserID
	Email         string
	Name          string
	HomeOrg       OrgID
	Org           OrgID     // the organization in which the actor acts
	Role          Role      // the actor's role there
	Groups        []GroupID // those of the organization that the actor is in
	Only          OrgID     // the one organization in which the login is valid, because a provider of it vouched; "": any
	InstanceAdmin bool
	Token         TokenKind
	TokenID       string    // the id of the login, personal access token or SSH key
	Scopes        []string  // of a personal access token; a login token carries all
	StepUpAt      time.Time // the last time that the actor authenticated anew; zero for what can never step up
	SecondFactor  bool      // the login, or its last step-up, was made with a second factor
	From          netip.Addr
	RequestID     string
	AdminsSeeAll  bool // the organization's setting at the time of the request
	DualControl   bool // the organization's setting at the time of the request
}

// StepUpLifetime is how long an authentication counts as fresh.
const StepUpLifetime = 15 * time.Minute

// Fresh says whether the actor authenticated recently enough for a risky act.
// A personal access token never is.
func (a Actor) Fresh(now time.Time) bool {
	return (a.Token == LoginToken || a.Token == NativeLogin || a.Token == SystemToken) && !a.StepUpAt.IsZero() && now.Sub(a.StepUpAt) < StepUpLifetime
}

// HasScope says whether the actor's token carries scope.
func (a Actor) HasScope(scope string) bool {
	return a.Token != PersonalToken || slices.Contains(a.Scopes, scope)
}
