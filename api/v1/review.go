package v1

import "time"

// Access is one person and one Safe in which they have a role: by what rules,
// and what a launch would come to now.
type Access struct {
	UserID     string         `json:"user_id"`
	Email      string         `json:"email"`
	Name       string         `json:"name"`
	OrgRole    string         `json:"org_role"`
	SafeID     string         `json:"safe_id"`
	SafeName   string         `json:"safe_name"`
	Role       string         `json:"role" doc:"In the Safe, by all grounds together"`
	Grounds    []AccessGround `json:"grounds"`
	Targets    []AccessTarget `json:"targets" doc:"What the Safe grants access to"`
	Decision   string         `json:"decision" enum:"allow,deny,require_approval" doc:"On a launch now, from an address that is not known"`
	Rule       string         `json:"rule" doc:"What decided"`
	Message    string         `json:"message" doc:"What stands in the way, if anything does"`
	Reasons    []RuleReason   `json:"reasons"`
	LastUsedAt *time.Time     `json:"last_used_at,omitempty" doc:"Start of the last session; absent: never"`
}

// AccessGround is one rule that gives somebody a role in a Safe.
type AccessGround struct {
	Rule      string     `json:"rule" enum:"member,group,grant"`
	MemberID  string     `json:"member_id,omitempty"`
	GroupID   string     `json:"group_id,omitempty"`
	GroupName string     `json:"group_name,omitempty"`
	GrantID   string     `json:"grant_id,omitempty"`
	Role      string     `json:"role"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// AccessTarget is a resource and the account with which it is reached.
type AccessTarget struct {
	ResourceID   string `json:"resource_id"`
	ResourceName string `json:"resource_name"`
	AccountID    string `json:"account_id"`
	AccountName  string `json:"account_name"`
}

// AccessReviewIn is the body of POST /access-reviews.
type AccessReviewIn struct {
	Name          string    `json:"name" maxLength:"256"`
	SafeIDs       []string  `json:"safe_ids,omitempty" maxItems:"1000" doc:"Whose roles are asked about; none: all Safes"`
	IncludeGroups bool      `json:"include_groups,omitempty" doc:"Ask about who is in the groups that have roles, too, where they are filled by hand"`
	DueAt         time.Time `json:"due_at"`
	OnExpiry      string    `json:"on_expiry,omitempty" enum:"keep,revoke" doc:"What becomes of that about which nobody decides; default keep"`
}

// AccessReview asks of each role whether it should stay.
type AccessReview struct {
	ID            string             `json:"id"`
	Name          string             `json:"name"`
	Status        string             `json:"status" enum:"open,closed"`
	SafeIDs       []string           `json:"safe_ids"`
	IncludeGroups bool               `json:"include_groups"`
	DueAt         time.Time          `json:"due_at"`
	OnExpiry      string             `json:"on_expiry" enum:"keep,revoke"`
	CreatedBy     string             `json:"created_by"`
	CreatedAt     time.Time          `json:"created_at"`
	ClosedBy      string             `json:"closed_by,omitempty" doc:"Absent: its time was over"`
	ClosedAt      *time.Time         `json:"closed_at,omitempty"`
	Counts        AccessReviewCounts `json:"counts"`
}

// AccessReviewCounts is how many items stand where.
type AccessReviewCounts struct {
	Total   int `json:"total"`
	Pending int `json:"pending"`
	Keep    int `json:"keep"`
	Revoke  int `json:"revoke"`
	Lapsed  int `json:"lapsed"`
}

// AccessReviewItem is one role, or one person in one group, and what was
// decided.
type AccessReviewItem struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind" enum:"safe_member,group_member"`
	SafeID     string     `json:"safe_id,omitempty"`
	SafeName   string     `json:"safe_name,omitempty"`
	MemberID   string     `json:"member_id,omitempty"`
	GroupID    string     `json:"group_id,omitempty"`
	GroupName  string     `json:"group_name,omitempty"`
	UserID     string     `json:"user_id,omitempty" doc:"Absent where a group holds the role"`
	Email      string     `json:"email,omitempty"`
	Role       string     `json:"role,omitempty" doc:"When the review began; once decided, when that was"`
	RoleNow    string     `json:"role_now,omitempty" doc:"Absent where it has ended"`
	Since      time.Time  `json:"since"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty" doc:"When the review began; absent: never"`
	Decision   string     `json:"decision" enum:"pending,keep,revoke,lapsed" doc:"lapsed: nobody decided in time"`
	Comment    string     `json:"comment,omitempty"`
	DecidedBy  string     `json:"decided_by,omitempty"`
	Decider    string     `json:"decider,omitempty" doc:"Address of who decided"`
	DecidedAt  *time.Time `json:"decided_at,omitempty"`
	Outcome    string     `json:"outcome,omitempty" enum:"kept,removed,gone,last_manager" doc:"gone: it had ended before; last_manager: it stays, since the Safe would have no manager left"`
	CanDecide  bool       `json:"can_decide" doc:"Whether the caller may decide"`
}

// AccessReviewDecisionsIn is the body of POST /access-reviews/{id}/decisions.
type AccessReviewDecisionsIn struct {
	ItemIDs  []string `json:"item_ids" minItems:"1" maxItems:"200"`
	Decision string   `json:"decision" enum:"keep,revoke"`
	Comment  string   `json:"comment,omitempty" maxLength:"1000"`
}
