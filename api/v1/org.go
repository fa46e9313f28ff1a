package v1

import "time"

// Memberships is the answer of GET /org/memberships.
type Memberships struct {
	ActiveOrgID string       `json:"active_org_id"`
	Memberships []Membership `json:"memberships"`
}

// Membership is one organization of the caller.
type Membership struct {
	OrgID  string `json:"org_id"`
	Role   string `json:"role" enum:"owner,admin,policy_manager,operator,auditor"`
	Name   string `json:"name"`
	Slug   string `json:"slug"`
	Status string `json:"status" enum:"active,invited,suspended"`
}

// OrgIn is what an owner or admin changes of the organization.
type OrgIn struct {
	Name                    string `json:"name" maxLength:"64"`
	Slug                    string `json:"slug" maxLength:"64"`
	IdleTimeoutSeconds      int    `json:"idle_timeout_seconds"`
	RecordingRetentionDays  int    `json:"recording_retention_days"`
	MFARequired             bool   `json:"mfa_required"`
	AdminsSeeAll            bool   `json:"admins_see_all"`
	DualControl             bool   `json:"dual_control"`
	AnonymousShares         bool   `json:"anonymous_shares"`
	RequestTimeoutSeconds   int    `json:"request_timeout_seconds"`
	ApprovalCooldownSeconds int    `json:"approval_cooldown_seconds"`
}

// Org is an organization with its settings.
type Org struct {
	ID string `json:"id"`
	OrgIn
	CreatedAt time.Time `json:"created_at"`
}

// OrganizationIn is the body of POST /organizations.
type OrganizationIn struct {
	Name          string `json:"name" maxLength:"64"`
	Slug          string `json:"slug,omitempty" maxLength:"64"`
	OwnerEmail    string `json:"owner_email,omitempty" maxLength:"320" doc:"Absent: the caller becomes the owner"`
	OwnerPassword string `json:"owner_password,omitempty" maxLength:"1024"`
}

// MemberIn is the body of POST /org/members.
type MemberIn struct {
	Email              string `json:"email" maxLength:"320"`
	Role               string `json:"role" enum:"owner,admin,policy_manager,operator,auditor"`
	Password           string `json:"password,omitempty" maxLength:"1024" doc:"For a new person alone; ignored for an existing user"`
	MustChangePassword *bool  `json:"must_change_password,omitempty" doc:"Default true"`
	ServiceUser        bool   `json:"service_user,omitempty" doc:"A machine: the address is its name alone, and it has no password"`
}

// MemberPatch is the body of PATCH /org/members/{user_id}.
type MemberPatch struct {
	Role string `json:"role" enum:"owner,admin,policy_manager,operator,auditor"`
}

// Member is a user of the organization.
type Member struct {
	UserID      string    `json:"user_id"`
	Email       string    `json:"email"`
	Name        string    `json:"name"`
	Role        string    `json:"role"`
	Status      string    `json:"status" enum:"active,invited,suspended"`
	ServiceUser bool      `json:"service_user,omitempty"`
	JoinedAt    time.Time `json:"joined_at"`
}
