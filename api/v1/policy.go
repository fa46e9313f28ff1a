package v1

import "time"

// PolicyIn is what a client writes of a policy. Name and action are required
// at creation. A policy begins as a draft.
type PolicyIn struct {
	Name        string           `json:"name" maxLength:"256"`
	Description string           `json:"description,omitempty" maxLength:"4096"`
	Conditions  PolicyConditions `json:"conditions,omitzero"`
	Action      string           `json:"action" enum:"allow,deny,require_approval"`
	JIT         *JIT             `json:"jit,omitempty" doc:"With require_approval alone"`
	SafeIDs     []string         `json:"safe_ids,omitempty" maxItems:"1000" doc:"The Safes that it is assigned to"`
}

// PolicyConditions say when a policy applies: where all that are given hold.
type PolicyConditions struct {
	TimeWindow    *ValidHours `json:"time_window,omitempty"`
	SourceIPs     []string    `json:"source_ips,omitempty" maxItems:"256" doc:"Addresses and CIDR ranges"`
	MFARequired   bool        `json:"mfa_required,omitempty" doc:"Where the policy applies, a second factor must have been shown"`
	ResourceTypes []string    `json:"resource_types,omitempty" maxItems:"16"`
	UserIDs       []string    `json:"user_ids,omitempty" maxItems:"1000" doc:"Of users, groups and roles, one is enough"`
	GroupIDs      []string    `json:"group_ids,omitempty" maxItems:"1000"`
	Roles         []string    `json:"roles,omitempty" maxItems:"5" doc:"Roles in the organization"`
}

// JIT says what approval a policy asks for.
type JIT struct {
	Approvers  int  `json:"approvers" required:"false" doc:"1 or 2 different people"`
	MaxSeconds int  `json:"max_seconds,omitempty" doc:"The longest grant; 0: as long as the request says"`
	AutoExpire bool `json:"auto_expire" required:"false" doc:"Sessions end with the grant"`
}

// Policy is conditions and an action, assigned to Safes.
type Policy struct {
	ID          string           `json:"id"`
	Name        string           `json:"name"`
	Description string           `json:"description"`
	Status      string           `json:"status" enum:"draft,active,disabled"`
	Conditions  PolicyConditions `json:"conditions"`
	Action      string           `json:"action" enum:"allow,deny,require_approval"`
	JIT         *JIT             `json:"jit"`
	SafeIDs     []string         `json:"safe_ids"`
	CreatedBy   string           `json:"created_by"`
	CreatedAt   time.Time        `json:"created_at"`
	UpdatedAt   time.Time        `json:"updated_at"`
	// ConfirmationID is set when the change waits for managers.
	ConfirmationID string `json:"confirmation_id,omitempty" doc:"The change waits for a manager of each Safe that it weakens, this confirmation and perhaps others; the fields show what holds until then"`
}

// PolicyTemplate is a policy to begin with.
type PolicyTemplate struct {
	ID     string   `json:"id"`
	Policy PolicyIn `json:"policy"`
}

// PolicyPreviewIn asks what a policy would have changed, were it active.
type PolicyPreviewIn struct {
	Days   int            `json:"days,omitempty" minimum:"1" maximum:"365" doc:"How far to look back; default 30"`
	Change map[string]any `json:"change,omitempty" doc:"A merge patch of the policy, to be supposed"`
}

// PolicyPreview is what it would have changed.
type PolicyPreview struct {
	Since           time.Time      `json:"since"`
	Attempts        int            `json:"attempts" doc:"Sessions, checkouts and refusals that were looked at"`
	Skipped         int            `json:"skipped" doc:"Those of people who have no role in the Safe any more"`
	Truncated       bool           `json:"truncated" doc:"There was more than fits"`
	WeakenedSafeIDs []string       `json:"weakened_safe_ids" doc:"Safes that the policy would weaken"`
	Changes         []PolicyChange `json:"changes"`
}

// PolicyChange is what would have been different for one person at one Safe.
type PolicyChange struct {
	UserID    string    `json:"user_id"`
	UserEmail string    `json:"user_email,omitempty"`
	SafeID    string    `json:"safe_id"`
	SafeName  string    `json:"safe_name"`
	Before    string    `json:"before" enum:"deny,require_approval,step_up,allow"`
	After     string    `json:"after" enum:"deny,require_approval,step_up,allow"`
	Attempts  int       `json:"attempts"`
	LastAt    time.Time `json:"last_at"`
	Why       string    `json:"why"`
}

// AccessDecisionIn asks what would happen if somebody came to a Safe.
type AccessDecisionIn struct {
	UserID     string     `json:"user_id,omitempty" maxLength:"64" doc:"Default: yourself"`
	SafeID     string     `json:"safe_id" maxLength:"64"`
	ResourceID string     `json:"resource_id,omitempty" maxLength:"64" doc:"Of the Safe's; default: all of them"`
	Action     string     `json:"action,omitempty" enum:"launch,check_out" doc:"Default launch"`
	At         *time.Time `json:"at,omitempty" doc:"Default: now"`
	SourceIP   string     `json:"source_ip,omitempty" maxLength:"64" doc:"Default: your own, where you ask about yourself"`
	Emergency  bool       `json:"emergency,omitempty" doc:"By break-glass, as in POST /checkouts and POST /sessions"`
}

// AccessDecision is the answer, rule by rule.
type AccessDecision struct {
	Decision    string       `json:"decision" enum:"allow,deny,require_approval"`
	Rule        string       `json:"rule" doc:"What decided"`
	Message     string       `json:"message" doc:"What stands in the way, if anything does"`
	Obligations []Obligation `json:"obligations" doc:"What is demanded beside, or of whom"`
	Reasons     []RuleReason `json:"reasons"`
}

// Obligation is a demand on access that is given.
type Obligation struct {
	Kind       string `json:"kind" enum:"approval,step_up,mfa,reason" doc:"reason: an emergency has to say why"`
	Approvers  int    `json:"approvers,omitempty"`
	MaxSeconds int    `json:"max_seconds,omitempty"`
	AutoExpire bool   `json:"auto_expire,omitempty"`
}

// RuleReason is what one rule says.
type RuleReason struct {
	Rule   string `json:"rule" doc:"A constant, or the id of a policy"`
	Name   string `json:"name,omitempty" doc:"Of a policy"`
	Effect string `json:"effect" enum:"allow,deny,require_approval,step_up,none" doc:"none: it does not apply"`
	Why    string `json:"why"`
}
