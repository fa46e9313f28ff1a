package v1

import "time"

// SafeIn is what a client writes of a Safe. Only the name is required at
// creation; what is absent takes its default.
type SafeIn struct {
	Name                string           `json:"name" maxLength:"256"`
	Slug                string           `json:"slug,omitempty" maxLength:"64" doc:"From the name when absent"`
	Description         string           `json:"description,omitempty" maxLength:"4096"`
	Bindings            []Binding        `json:"bindings,omitempty" maxItems:"64"`
	Approval            string           `json:"approval,omitempty" enum:"none,single,dual"`
	Recording           string           `json:"recording,omitempty" enum:"on,off"`
	RecordingFailure    RecordingFailure `json:"recording_failure,omitzero"`
	Clipboard           string           `json:"clipboard,omitempty" enum:"audited,allowed,blocked"`
	FileTransfer        string           `json:"file_transfer,omitempty" enum:"audited,allowed,blocked"`
	PortForwarding      bool             `json:"port_forwarding,omitempty"`
	AgentForwarding     bool             `json:"agent_forwarding,omitempty"`
	MFAStepUp           bool             `json:"mfa_step_up,omitempty"`
	SessionTTLSeconds   int              `json:"session_ttl_seconds,omitempty"`
	ValidHours          *ValidHours      `json:"valid_hours,omitempty"`
	Checkout            CheckoutRules    `json:"checkout,omitzero"`
	Visibility          string           `json:"visibility,omitempty" enum:"members,requestable"`
	Rotation            RotationRules    `json:"rotation,omitzero"`
	CredentialExpiresAt *time.Time       `json:"credential_expires_at,omitempty"`
	BreakGlass          BreakGlass       `json:"break_glass,omitzero"`
}

// BreakGlass says who may go in without an approval in an emergency.
type BreakGlass struct {
	UserIDs []string `json:"user_ids" required:"false" maxItems:"32"`
}

// EmergencyTarget is an account and where it logs in, by their names.
type EmergencyTarget struct {
	ResourceID   string `json:"resource_id"`
	ResourceName string `json:"resource_name"`
	ResourceType string `json:"resource_type"`
	AccountID    string `json:"account_id"`
	AccountName  string `json:"account_name"`
	Username     string `json:"username"`
}

// Binding joins a resource and the account that is used there.
type Binding struct {
	ResourceID string `json:"resource_id" maxLength:"64"`
	AccountID  string `json:"account_id" maxLength:"64"`
}

// RecordingFailure says what happens when a recording cannot be written.
type RecordingFailure struct {
	Mode         string `json:"mode" required:"false" enum:"closed,grace"`
	GraceSeconds int    `json:"grace_seconds,omitempty"`
}

// ValidHours are the hours in which sessions may run.
type ValidHours struct {
	TimeZone string       `json:"time_zone" maxLength:"64" example:"Europe/Berlin"`
	Windows  []HourWindow `json:"windows" maxItems:"64"`
}

// HourWindow is a span of the day on some days of the week.
type HourWindow struct {
	Days []string `json:"days" maxItems:"7" doc:"mon tue wed thu fri sat sun"`
	From string   `json:"from" maxLength:"5" example:"08:00"`
	To   string   `json:"to" maxLength:"5" example:"18:00"`
}

// CheckoutRules say whether and for how long a secret may be revealed.
type CheckoutRules struct {
	Enabled    bool `json:"enabled" required:"false"`
	TTLSeconds int  `json:"ttl_seconds" required:"false"`
	Exclusive  bool `json:"exclusive" required:"false"`
}

// RotationRules say when the accounts' credentials rotate.
type RotationRules struct {
	IntervalDays int  `json:"interval_days" required:"false"`
	AfterSession bool `json:"after_session" required:"false"`
	AfterCheckIn bool `json:"after_check_in" required:"false"`
}

// Safe is the object that grants access.
type Safe struct {
	ID                  string           `json:"id"`
	Name                string           `json:"name"`
	Slug                string           `json:"slug"`
	Description         string           `json:"description"`
	Bindings            []Binding        `json:"bindings"`
	Approval            string           `json:"approval"`
	Recording           string           `json:"recording"`
	RecordingFailure    RecordingFailure `json:"recording_failure"`
	Clipboard           string           `json:"clipboard"`
	FileTransfer        string           `json:"file_transfer"`
	PortForwarding      bool             `json:"port_forwarding"`
	AgentForwarding     bool             `json:"agent_forwarding"`
	MFAStepUp           bool             `json:"mfa_step_up"`
	SessionTTLSeconds   int              `json:"session_ttl_seconds"`
	ValidHours          *ValidHours      `json:"valid_hours"`
	Checkout            CheckoutRules    `json:"checkout"`
	Visibility          string           `json:"visibility"`
	Rotation            RotationRules    `json:"rotation"`
	CredentialExpiresAt *time.Time       `json:"credential_expires_at"`
	BreakGlass          BreakGlass       `json:"break_glass"`
	Locked              bool             `json:"locked"`
	Role                string           `json:"role,omitempty" doc:"The caller's role in this Safe, if any: the strongest of roles"`
	Roles               []string         `json:"roles,omitempty" doc:"What the caller's own role and those of their groups come to"`
	SSHCommand          string           `json:"ssh_command,omitempty" doc:"Of one Safe: the command line of a native client, for who may launch. Where there are several targets, +ACCOUNT@RESOURCE follows the slug"`
	// EmergencyTargets stands in for bindings, which they do not see.
	EmergencyTargets []EmergencyTarget `json:"emergency_targets,omitempty" doc:"Of one Safe: where it leads, for a caller who is named for its emergencies without being in it"`
	CreatedAt        time.Time         `json:"created_at"`
	UpdatedAt        time.Time         `json:"updated_at"`
	// ConfirmationID is set when the change waits for a second manager.
	ConfirmationID string `json:"confirmation_id,omitempty" doc:"The change waits for this confirmation; the fields show what holds until then"`
}

// SafeMemberIn gives somebody a role in a Safe.
type SafeMemberIn struct {
	UserID    string     `json:"user_id,omitempty" maxLength:"64"`
	GroupID   string     `json:"group_id,omitempty" maxLength:"64"`
	Role      string     `json:"role" enum:"viewer,operator,manager,approver"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// SafeMemberPatch changes a member of a Safe.
type SafeMemberPatch struct {
	Role      string     `json:"role" enum:"viewer,operator,manager,approver"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// SafeMember is a member of a Safe.
type SafeMember struct {
	ID        string     `json:"id"`
	SafeID    string     `json:"safe_id"`
	UserID    string     `json:"user_id,omitempty"`
	GroupID   string     `json:"group_id,omitempty"`
	GroupName string     `json:"group_name,omitempty"`
	Email     string     `json:"email,omitempty"`
	Role      string     `json:"role"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	CreatedAt time.Time  `json:"created_at"`

	AwaitsApproval bool `json:"awaits_approval,omitempty" doc:"A directory fills the group that came after a manager's word for it, and brings nobody in until a manager sends the role again"`
}
