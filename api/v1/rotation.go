package v1

import "time"

// RotateIn asks for a rotation. Without a credential the server makes a new
// value and has the target take it.
type RotateIn struct {
	Credential *CredentialIn `json:"credential,omitempty" doc:"A value that was changed elsewhere: it is verified by a login, and promoted"`
}

// RotationDependent is a place that holds a copy of the secret.
type RotationDependent struct {
	ResourceID string `json:"resource_id" maxLength:"64"`
	AccountID  string `json:"account_id" maxLength:"64" doc:"Logs in there"`
	Path       string `json:"path" maxLength:"1024" doc:"Absolute"`
	Key        string `json:"key,omitempty" maxLength:"128" doc:"Of a line KEY=value; without it the file is the value"`
}

// Rotation is one change of one account's credential.
type Rotation struct {
	ID           string              `json:"id"`
	AccountID    string              `json:"account_id"`
	AccountName  string              `json:"account_name,omitempty"`
	ResourceID   *string             `json:"resource_id"`
	Trigger      string              `json:"trigger" enum:"manual,upload,schedule,after_session,after_check_in,break_glass"`
	State        string              `json:"state" enum:"queued,stored,applying,applied,verified,spreading,done,failed,stuck,cancelled"`
	OldVersion   int64               `json:"old_version,omitempty"`
	Version      int64               `json:"version,omitempty"`
	Attempts     int                 `json:"attempts"`
	Problem      string              `json:"problem,omitempty"`
	Repaired     bool                `json:"repaired" doc:"The reconcile account had to help"`
	Pending      []RotationDependent `json:"pending,omitempty" doc:"Copies that are still to be brought up to date"`
	RequestedBy  string              `json:"requested_by,omitempty"`
	CreatedAt    time.Time           `json:"created_at"`
	UpdatedAt    time.Time           `json:"updated_at"`
	EndedAt      *time.Time          `json:"ended_at"`
	NextAttempt  *time.Time          `json:"next_attempt_at"`
	NeedsSomeone bool                `json:"needs_attention" doc:"It waits for a person: retry, or store the secret that is right"`
}

// RotationSettings say how a credential is changed and looked after.
type RotationSettings struct {
	ResourceID         string              `json:"resource_id,omitempty" maxLength:"64" doc:"Where it is changed; absent: where the account is used, if that is one place"`
	Login              string              `json:"login,omitempty" maxLength:"1024" doc:"How the account is called there, such as its name in a directory; absent: its username"`
	Attribute          string              `json:"attribute,omitempty" enum:"unicodePwd" doc:"Of a directory; absent: by the extended operation of RFC 3062"`
	ReconcileAccountID string              `json:"reconcile_account_id,omitempty" maxLength:"64" doc:"Helps where the account cannot log in any more"`
	ByReconcile        bool                `json:"by_reconcile,omitempty" doc:"The reconcile account always makes the change"`
	Generation         map[string]any      `json:"generation,omitempty" doc:"As POST /accounts/{id}/credential/generate takes it; absent: the default of the kind"`
	Window             *ValidHours         `json:"window,omitempty" doc:"When the schedule may act; absent: at any time"`
	JitterSeconds      int                 `json:"jitter_seconds,omitempty" minimum:"0" maximum:"604800"`
	Dependents         []RotationDependent `json:"dependents,omitempty" maxItems:"16"`
	CheckHours         int                 `json:"check_hours,omitempty" minimum:"0" maximum:"2160" doc:"How often it is tried whether the credential logs in; 0: never"`
}

// CredentialHealth is what is known of one account's credential.
type CredentialHealth struct {
	AccountID      string     `json:"account_id"`
	AccountName    string     `json:"account_name"`
	Username       string     `json:"username"`
	ResourceID     *string    `json:"resource_id"`
	Kind           string     `json:"kind"`
	Version        int64      `json:"version"`
	SetAt          time.Time  `json:"set_at"`
	AgeDays        int        `json:"age_days"`
	RotationState  string     `json:"rotation_state"`
	IntervalDays   int        `json:"interval_days" doc:"The shortest of its Safes; 0: none"`
	Safes          int        `json:"safes"`
	UsedAt         *time.Time `json:"used_at"`
	Users          int        `json:"users" doc:"People who used it in the last 90 days"`
	Check          string     `json:"check" enum:"unchecked,ok,refused,unreachable"`
	CheckProblem   string     `json:"check_problem,omitempty"`
	CheckedAt      *time.Time `json:"checked_at"`
	CheckChangedAt *time.Time `json:"check_changed_at" doc:"Since when the check comes to this"`
	Weak           string     `json:"weak,omitempty" doc:"Why the value is weak"`
	Flags          []string   `json:"flags" doc:"old, unused, shared, weak, never_rotated, refused, stuck"`
}
