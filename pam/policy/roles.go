// Package policy is who may do what: the table of actions and roles, as data,
// the rules that policies compile to, and pure functions that read them.
//
// It must not do I/O (but look a time zone up), know a clock or hold state:
// every fact is an argument. Start at [Table] and [Allowed] for what a role may
// do, at [Evaluate] for whether somebody gets through a Safe's door now.
package policy

import (
	"slices"

	"vaultpam/pam"
)

// Action is something that an actor may want to do.
type Action string

// The actions, by the noun that they are about.
const (
	OrgRead     Action = "org.read"
	OrgUpdate   Action = "org.update"
	OrgSecurity Action = "org.security"
	OrgDelete   Action = "org.delete"
	OrgTransfer Action = "org.transfer"
	OrgStats    Action = "org.stats"

	MemberList   Action = "member.list"
	MemberAdd    Action = "member.add"
	MemberUpdate Action = "member.update"
	MemberRemove Action = "member.remove"
	OwnerName    Action = "member.name_owner"

	GroupRead      Action = "group.read"
	GroupWrite     Action = "group.write"
	SSORead        Action = "sso.read"
	SSOWrite       Action = "sso.write"
	ConnectorRead  Action = "connector.read"
	ConnectorWrite Action = "connector.write"
	WebhookRead    Action = "webhook.read"
	WebhookWrite   Action = "webhook.write"

	PolicyRead  Action = "policy.read"
	PolicyWrite Action = "policy.write"
	PolicyTry   Action = "policy.dry_run"

	SafeCreate     Action = "safe.create"
	SafeSee        Action = "safe.see"
	SafeUpdate     Action = "safe.update"
	SafeUnbind     Action = "safe.unbind"
	SafeDelete     Action = "safe.delete"
	SafeLock       Action = "safe.lock"
	SafeTakeOver   Action = "safe.take_over"
	SafeMemberList Action = "safe.member.list"
	SafeMemberGive Action = "safe.member.give"
	SafeMemberTake Action = "safe.member.remove"
	ChangeConfirm  Action = "confirmation.decide"
	ChangeSee      Action = "confirmation.see"

	ResourceCreate Action = "resource.create"
	ResourceSee    Action = "resource.see"
	ResourceUpdate Action = "resource.update"
	ResourceDelete Action = "resource.delete"
	ResourceProbe  Action = "resource.probe"

	AccountCreate Action = "account.create"
	AccountSee    Action = "account.see"
	AccountUpdate Action = "account.update"
	AccountDelete Action = "account.delete"
	AccountBind   Action = "account.bind"
	AccountImport Action = "account.import"

	CredentialSet     Action = "credential.set"
	CredentialPromote Action = "credential.promote"
	CredentialPurge   Action = "credential.purge"
	CredentialRotate  Action = "credential.rotate"
	RotationSee       Action = "rotation.see"
	RotationSet       Action = "rotation.set"
	SSHCASee          Action = "ssh_ca.see"
	SSHCAManage       Action = "ssh_ca.manage"
	LeaseSee          Action = "lease.see"
	LeaseRevoke       Action = "lease.revoke"
	LeaseForget       Action = "lease.forget"
	LeaseSweep        Action = "lease.sweep"
	CredentialReveal  Action = "credential.check_out"
	CheckoutSee       Action = "checkout.see"
	CheckoutEnd       Action = "checkout.check_in"
	BreakGlassKit     Action = "break_glass.kit"

	SessionLaunch    Action = "session.launch"
	SessionSee       Action = "session.see"
	SessionWatch     Action = "session.watch"
	SessionTerminate Action = "session.terminate"

	RecordingSee    Action = "recording.see"
	RecordingReplay Action = "recording.replay"
	RecordingShare  Action = "recording.share"

	RequestCreate Action = "request.create"
	RequestSee    Action = "request.see"
	RequestDecide Action = "request.decide"
	GrantRevoke   Action = "grant.revoke"

	AccessSee    Action = "access.see"
	ReviewManage Action = "access_review.manage"
	ReviewSee    Action = "access_review.see"
	ReviewDecide Action = "access_review.decide"

	AuditRead Action = "audit.read"
)

// Row says who may do one action. Any of the grounds is enough.
type Row struct {
	Action Action
	Does   string         // in words
	Scope  string         // that a personal access token must carry; "-": it cannot do this
	Org    []pam.Role     // by the role in the organization alone
	Safe   []pam.SafeRole // by the role in the Safe that it is about
	SeeAll []pam.Role     // by the role, if the organization sets admins_see_all
	Own    []pam.Role     // by the role, if the actor made the object or it is about the actor
	StepUp StepUp
	Note   string // a rule beside the table, enforced where the noun lives
}

// StepUp says whether the actor must have authenticated just now.
type StepUp uint8

// When a fresh authentication is asked for. Sometimes: the note says when.
const (
	Never StepUp = iota
	Sometimes
	Always
)

var (
	everybody = pam.Roles
	admins    = []pam.Role{pam.Owner, pam.Admin}
	owner     = []pam.Role{pam.Owner}
	makers    = []pam.Role{pam.Owner, pam.Admin, pam.PolicyManager, pam.Operator} // an auditor only reads
	overseers = []pam.Role{pam.Owner, pam.Admin, pam.Auditor}

	anySafeRole = pam.SafeRoles
	users       = []pam.SafeRole{pam.SafeOperator, pam.SafeManager}
	manager     = []pam.SafeRole{pam.SafeManager}
	approver    = []pam.SafeRole{pam.SafeApprover}
)

// Table is the complete table. It is printed into docs/permissions.md and
// tested cell by cell.
var Table = []Row{
	{Action: OrgRead, Does: "read the organization's settings", Scope: "org:read", Org: everybody},
	{Action: OrgUpdate, Does: "change the organization's settings", Scope: "org:write", Org: admins},
	{Action: OrgSecurity, Does: "change admins_see_all, dual_control, mfa_required, anonymous_shares", Scope: "-", Org: owner, StepUp: Always},
	{Action: OrgDelete, Does: "delete the organization", Scope: "-", Org: owner, StepUp: Always},
	{Action: OrgTransfer, Does: "hand the ownership over to another member", Scope: "-", Org: owner, StepUp: Always, Note: "and become an admin"},
	{Action: OrgStats, Does: "read figures of the organization", Scope: "org:read", Org: overseers},

	{Action: MemberList, Does: "list the members of the organization", Scope: "members:read", Org: everybody},
	{Action: MemberAdd, Does: "add or invite somebody to the organization", Scope: "members:write", Org: admins, Note: "never with a role above one's own; with roles in Safes: a manager of each"},
	{Action: MemberUpdate, Does: "change, suspend or resume a member, reset factors, have a link to a new password mailed", Scope: "members:write", Org: admins, StepUp: Sometimes, Note: "never a member of a higher role; step-up for a reset of factors or password, and that by the home organization alone"},
	{Action: MemberRemove, Does: "remove a member", Scope: "members:write", Org: admins, Note: "never a member of a higher role"},
	{Action: OwnerName, Does: "make somebody an owner", Scope: "members:write", Org: owner},

	{Action: GroupRead, Does: "read groups", Scope: "groups:read", Org: everybody},
	{Action: GroupWrite, Does: "change groups", Scope: "groups:write", Org: admins, Safe: manager, Note: "into a group that is a member of Safes: by a manager of each of them alone; out of it: by an admin, too"},
	{Action: SSORead, Does: "read how people and machines sign in by others' word", Scope: "org:read", Org: admins},
	{Action: SSOWrite, Does: "change single sign-on, workload identity and provisioning", Scope: "-", Org: admins, StepUp: Always, Note: "never to give a role above one's own; where it gives roles in Safes, by a group or a service user: a manager of each"},
	{Action: ConnectorRead, Does: "read connectors", Scope: "connectors:read", Org: overseers},
	{Action: ConnectorWrite, Does: "change connectors, mint enrolment tokens", Scope: "connectors:write", Org: admins},
	{Action: WebhookRead, Does: "read webhooks", Scope: "webhooks:read", Org: admins},
	{Action: WebhookWrite, Does: "change webhooks", Scope: "webhooks:write", Org: admins},

	{Action: PolicyRead, Does: "read policies", Scope: "policies:read", Org: []pam.Role{pam.Owner, pam.Admin, pam.PolicyManager, pam.Auditor}},
	{Action: PolicyWrite, Does: "change, activate and assign policies", Scope: "policies:write", Org: []pam.Role{pam.Owner, pam.Admin, pam.PolicyManager}, StepUp: Sometimes, Note: "step-up where a Safe is weakened"},
	{Action: PolicyTry, Does: "try an access decision", Scope: "policies:read", Org: []pam.Role{pam.Owner, pam.Admin, pam.PolicyManager, pam.Auditor}, Own: everybody},

	{Action: SafeCreate, Does: "create a Safe", Scope: "safes:write", Org: admins, Note: "whoever creates it is its manager"},
	{Action: SafeSee, Does: "see a Safe's settings", Scope: "safes:read", Org: overseers, Safe: anySafeRole, Note: "of a requestable Safe everybody sees name and description; who is named for its emergencies sees those, its lock and where it leads"},
	{Action: SafeUpdate, Does: "change a Safe's settings", Scope: "safes:write", Org: admins, Safe: manager, StepUp: Sometimes, Note: "step-up for a weakening or redirection; with dual_control a second manager confirms"},
	{Action: SafeUnbind, Does: "remove a binding, or a Safe that has some", Scope: "safes:write", Safe: manager},
	{Action: SafeDelete, Does: "delete a Safe without bindings", Scope: "safes:write", Org: admins, Safe: manager},
	{Action: SafeLock, Does: "lock and unlock a Safe", Scope: "safes:write", Org: admins, Safe: manager},
	{Action: SafeTakeOver, Does: "become manager of a Safe without one", Scope: "-", Org: owner, StepUp: Always},
	{Action: SafeMemberList, Does: "list a Safe's members", Scope: "safes:read", Org: overseers, Safe: anySafeRole},
	{Action: SafeMemberGive, Does: "give or change a role in a Safe", Scope: "safes:write", Safe: manager, Note: "to active members; an auditor at most viewer"},
	{Action: SafeMemberTake, Does: "remove a member of a Safe", Scope: "safes:write", Safe: manager, Own: everybody},
	{Action: ChangeSee, Does: "see a pending redirection or weakening", Scope: "safes:read", Org: overseers, Safe: manager, Own: everybody},
	{Action: ChangeConfirm, Does: "confirm or reject it", Scope: "-", Safe: manager, StepUp: Always, Note: "a second person for a weakening, and always with dual_control"},

	{Action: ResourceCreate, Does: "create a resource", Scope: "resources:write", Org: admins},
	{Action: ResourceSee, Does: "see a resource", Scope: "resources:read", Org: overseers, Safe: anySafeRole},
	{Action: ResourceUpdate, Does: "change a resource", Scope: "resources:write", Org: admins, StepUp: Sometimes, Note: "step-up for a redirection; a manager of each Safe that binds it confirms"},
	{Action: ResourceDelete, Does: "delete a resource that no Safe binds", Scope: "resources:write", Org: admins},
	{Action: ResourceProbe, Does: "probe a resource", Scope: "resources:read", Org: admins, Safe: manager},

	{Action: AccountCreate, Does: "create an account", Scope: "accounts:write", Org: admins},
	{Action: AccountSee, Does: "see an account and the history of its credential", Scope: "accounts:read", Org: overseers, Safe: anySafeRole, Own: everybody},
	{Action: AccountUpdate, Does: "change an account", Scope: "accounts:write", Org: admins, StepUp: Sometimes, Note: "step-up for its resource; a manager of each Safe that binds it confirms"},
	{Action: AccountDelete, Does: "delete an account that no Safe binds", Scope: "accounts:write", Org: admins},
	{Action: AccountBind, Does: "bind an account to a Safe", Scope: "safes:write", Safe: manager, Own: makers, Note: "a manager of a Safe that holds it; its creator while it is in none"},
	{Action: AccountImport, Does: "import accounts", Scope: "-", Org: admins, StepUp: Always, Note: "a new credential for an account that is there: as for any new one"},

	{Action: CredentialSet, Does: "store a new credential", Scope: "-", Safe: manager, Own: makers, StepUp: Always, Note: "a manager of each Safe that holds the account; its creator while it is in none"},
	{Action: CredentialPromote, Does: "say that the target has an old version of the credential", Scope: "-", Safe: manager, Own: makers, StepUp: Always, Note: "as for a new one"},
	{Action: CredentialPurge, Does: "overwrite old versions of the credential", Scope: "-", Safe: manager, Own: makers, StepUp: Always, Note: "as for a new one; never what is in use"},
	{Action: CredentialRotate, Does: "rotate a credential", Scope: "credentials:rotate", Safe: manager, Own: makers, StepUp: Sometimes, Note: "its creator while it is in no Safe; step-up to upload a value"},
	{Action: RotationSee, Does: "see rotations and the health of credentials", Scope: "accounts:read", Org: overseers, Safe: manager, Own: makers, Note: "a manager sees those of their Safes"},
	{Action: RotationSet, Does: "say how a credential is rotated and checked", Scope: "-", Safe: manager, Own: makers, StepUp: Always, Note: "a manager of each Safe that holds the account, and of one that holds each account that is named; its creator while it is in none"},
	{Action: SSHCASee, Does: "see the SSH authorities that targets have to trust", Scope: "org:read", Org: everybody},
	{Action: SSHCAManage, Does: "rotate and remove SSH authorities", Scope: "-", Org: admins, StepUp: Always},
	{Action: LeaseSee, Does: "see users of databases that are to be gone again", Scope: "accounts:read", Org: overseers, Safe: manager, Own: everybody},
	{Action: LeaseRevoke, Does: "have such a user dropped now", Scope: "credentials:checkout", Org: admins, Safe: manager, Own: everybody},
	{Action: LeaseForget, Does: "say that such a user is gone, where it cannot be seen", Scope: "-", Org: admins, Safe: manager, StepUp: Always, Note: "of a lease that is stuck"},
	{Action: LeaseSweep, Does: "have users looked for at databases that no lease knows", Scope: "credentials:checkout", Org: admins, Note: "drops those that this organization made and whose time is over"},
	{Action: CredentialReveal, Does: "check a secret out", Scope: "credentials:checkout", Safe: users, StepUp: Sometimes, Note: "if the Safe allows it; in an emergency, with step-up: whoever is named for it in the Safe, but no auditor"},
	{Action: CheckoutSee, Does: "see who has a secret", Scope: "safes:read", Org: overseers, Safe: manager, Own: everybody},
	{Action: CheckoutEnd, Does: "check a secret in", Scope: "credentials:checkout", Org: admins, Safe: manager, Own: everybody},
	{Action: BreakGlassKit, Does: "seal a Safe's secrets in an offline kit", Scope: "-", Safe: manager, StepUp: Always, Note: "where they may check every one of them out; never with dual_control"},

	{Action: SessionLaunch, Does: "launch a session", Scope: "sessions:launch", Safe: users, StepUp: Sometimes, Note: "step-up if the Safe says so"},
	{Action: SessionSee, Does: "see that a session is or was", Scope: "sessions:read", Org: overseers, Safe: manager, Own: everybody},
	{Action: SessionWatch, Does: "watch a live session", Scope: "sessions:read", Safe: manager, SeeAll: admins},
	{Action: SessionTerminate, Does: "end a session", Scope: "sessions:terminate", Org: admins, Safe: manager, Own: everybody},

	{Action: RecordingSee, Does: "see that a recording exists", Scope: "recordings:read", Org: overseers, Safe: manager, Own: everybody},
	{Action: RecordingReplay, Does: "replay a recording", Scope: "recordings:read", Org: []pam.Role{pam.Auditor}, Safe: manager, SeeAll: admins, Own: everybody},
	{Action: RecordingShare, Does: "share a recording", Scope: "recordings:write", Safe: manager, SeeAll: admins},

	{Action: RequestCreate, Does: "request access to a Safe", Scope: "requests:write", Safe: users, Note: "for a requestable Safe anybody but an auditor"},
	{Action: RequestSee, Does: "see a request", Scope: "requests:read", Org: overseers, Safe: append(approver, manager...), Own: everybody},
	{Action: RequestDecide, Does: "approve or reject a request", Scope: "requests:approve", Safe: approver, Note: "never one's own"},
	{Action: GrantRevoke, Does: "revoke a grant", Scope: "requests:write", Org: admins, Safe: append(approver, manager...), Own: everybody},

	{Action: AccessSee, Does: "see who can reach what, by which rule", Scope: "safes:read", Org: []pam.Role{pam.Owner, pam.Admin, pam.PolicyManager, pam.Auditor}, Safe: manager, Own: everybody},
	{Action: ReviewManage, Does: "begin and close an access review", Scope: "safes:write", Org: admins},
	{Action: ReviewSee, Does: "see an access review", Scope: "safes:read", Org: overseers, Safe: manager, Note: "a manager sees what is about their Safes"},
	{Action: ReviewDecide, Does: "say whether access stays", Scope: "safes:write", Safe: manager, Note: "never about oneself; about who is in a group: a manager of each of its Safes, or an admin"},

	{Action: AuditRead, Does: "read, export and prove the audit log", Scope: "audit:read", Org: overseers},
}

// byAction is Table by its key.
var byAction = func() map[Action]*Row {
	m := make(map[Action]*Row, len(Table))
	for i := range Table {
		m[Table[i].Action] = &Table[i]
	}
	return m
}()

// Facts is what a decision by role rests on.
type Facts struct {
	Role         pam.Role     // in the organization; "" for an outsider
	SafeRole     pam.SafeRole // in the Safe that the act is about; "" for none
	AdminsSeeAll bool         // the organization's setting
	Own          bool         // the actor made the object, or it is about the actor
}

// Of returns the facts of an actor with a role in a Safe.
func Of(a pam.Actor, role pam.SafeRole) Facts {
	return Facts{Role: a.Role, SafeRole: role, AdminsSeeAll: a.AdminsSeeAll}
}

// Owning returns f for an object that is the actor's own, if own says so.
func (f Facts) Owning(own bool) Facts { f.Own = own; return f }

// Allowed says whether the table allows the action. Whoever is not in the
// organization is allowed nothing, and what the table does not name is
// refused.
func Allowed(a Action, f Facts) bool {
	row, known := byAction[a]
	if !known || !f.Role.Valid() {
		return false
	}
	return slices.Contains(row.Org, f.Role) ||
		row.inSafe(Effective(f.Role, f.SafeRole)) ||
		f.AdminsSeeAll && slices.Contains(row.SeeAll, f.Role) ||
		f.Own && slices.Contains(row.Own, f.Role)
}

// inSafe says whether the role includes one that the row names.
func (r *Row) inSafe(role pam.SafeRole) bool {
	for _, s := range r.Safe {
		if role.Includes(s) {
			return true
		}
	}
	return false
}

// Effective caps the role in a Safe by the role in the organization: an
// auditor who still has a higher one from before sees, and no more.
func Effective(role pam.Role, safe pam.SafeRole) pam.SafeRole {
	if role == pam.Auditor && safe != "" {
		return pam.SafeViewer
	}
	return safe
}

// MayHold says whether a member with this role in the organization may be
// given that role in a Safe.
func MayHold(role pam.Role, safe pam.SafeRole) bool {
	return role.Valid() && safe.Valid() && (role != pam.Auditor || safe == pam.SafeViewer)
}
