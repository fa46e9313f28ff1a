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
	Locked              bool             `json:"locked"`
	Role                string           `json:"role,omitempty" doc:"The caller's role in this Safe, if any"`
	CreatedAt           time.Time        `json:"created_at"`
	UpdatedAt           time.Time        `json:"updated_at"`
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
	Email     string     `json:"email,omitempty"`
	Role      string     `json:"role"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
}

// TLS says how a target's certificate is checked.
type TLS struct {
	Mode       string `json:"mode,omitempty" enum:"disable,require,verify" doc:"Empty: as the protocol does by itself"`
	CA         string `json:"ca,omitempty" maxLength:"65536" doc:"PEM"`
	ServerName string `json:"server_name,omitempty" maxLength:"253"`
}

// ResourceIn is what a client writes of a resource.
type ResourceIn struct {
	Name          string   `json:"name" maxLength:"256"`
	Slug          string   `json:"slug,omitempty" maxLength:"64"`
	Type          string   `json:"type" enum:"ssh,postgresql,mysql,redis,mssql,mongodb,http,kubernetes,rdp,vnc"`
	Host          string   `json:"host" maxLength:"253"`
	Port          int      `json:"port,omitempty" doc:"The protocol's own when absent"`
	ConnectorIDs  []string `json:"connector_ids,omitempty" maxItems:"16"`
	HostKeys      []string `json:"host_keys,omitempty" maxItems:"16" doc:"OpenSSH public key lines"`
	HostKeyPolicy string   `json:"host_key_policy,omitempty" enum:"pinned,accept_first"`
	TLS           TLS      `json:"tls,omitzero"`
}

// Resource is a target.
type Resource struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	Slug           string    `json:"slug"`
	Type           string    `json:"type"`
	Host           string    `json:"host"`
	Port           int       `json:"port"`
	ConnectorIDs   []string  `json:"connector_ids"`
	HostKeys       []string  `json:"host_keys"`
	HostKeyPolicy  string    `json:"host_key_policy"`
	TLS            TLS       `json:"tls"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	ConfirmationID string    `json:"confirmation_id,omitempty" doc:"Credentials are not sent there until this is confirmed"`
}

// Probe is what a look at a resource found.
type Probe struct {
	Reachable bool   `json:"reachable"`
	HostKey   string `json:"host_key,omitempty" doc:"The OpenSSH line that the target showed"`
	Pinned    bool   `json:"pinned" doc:"Whether the resource already pins that key"`
	Error     string `json:"error,omitempty"`
}

// CredentialIn is a secret on its way in; it is never returned.
type CredentialIn struct {
	Kind       string `json:"kind" enum:"password,ssh_key,ssh_certificate,token,database,tls_client,kubernetes_token,ephemeral"`
	Value      string `json:"value,omitempty" maxLength:"65536" writeOnly:"true"`
	PrivateKey string `json:"private_key,omitempty" maxLength:"65536" writeOnly:"true"`
	Passphrase string `json:"passphrase,omitempty" maxLength:"1024" writeOnly:"true"`
}

// AccountIn is what a client writes of an account.
type AccountIn struct {
	Name       string        `json:"name" maxLength:"256"`
	Slug       string        `json:"slug,omitempty" maxLength:"64"`
	Username   string        `json:"username" maxLength:"256"`
	ResourceID *string       `json:"resource_id,omitempty" maxLength:"64" doc:"Null: a domain account"`
	Credential *CredentialIn `json:"credential,omitempty" doc:"Only at creation; later PUT /accounts/{id}/credential"`
}

// AccountPatch is what PATCH changes of an account.
type AccountPatch struct {
	Name       string  `json:"name" maxLength:"256"`
	Slug       string  `json:"slug,omitempty" maxLength:"64"`
	Username   string  `json:"username" maxLength:"256"`
	ResourceID *string `json:"resource_id,omitempty" maxLength:"64"`
}

// Credential is what may be known of a secret.
type Credential struct {
	Kind          string     `json:"kind"`
	Version       int64      `json:"version"`
	PublicKey     string     `json:"public_key,omitempty"`
	RotatedAt     *time.Time `json:"rotated_at,omitempty"`
	RotationState string     `json:"rotation_state"`
}

// CredentialVersion is one entry of a credential's history.
type CredentialVersion struct {
	Version   int64     `json:"version"`
	Kind      string    `json:"kind"`
	PublicKey string    `json:"public_key,omitempty"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
	Promoted  bool      `json:"promoted"`
}

// Account is a login identity on a target.
type Account struct {
	ID             string      `json:"id"`
	Name           string      `json:"name"`
	Slug           string      `json:"slug"`
	Username       string      `json:"username"`
	ResourceID     *string     `json:"resource_id"`
	Credential     *Credential `json:"credential"`
	CreatedAt      time.Time   `json:"created_at"`
	UpdatedAt      time.Time   `json:"updated_at"`
	ConfirmationID string      `json:"confirmation_id,omitempty"`
}

// CredentialCheckIn says where a login check is made.
type CredentialCheckIn struct {
	ResourceID string `json:"resource_id,omitempty" maxLength:"64" doc:"Needed for a domain account"`
}

// CredentialCheck is the outcome of a login with the credential.
type CredentialCheck struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// CheckoutIn asks for a secret.
type CheckoutIn struct {
	SafeID    string `json:"safe_id" maxLength:"64"`
	AccountID string `json:"account_id,omitempty" maxLength:"64"`
	Reason    string `json:"reason,omitempty" maxLength:"1024"`
}

// Checkout is a secret revealed to one person for a time.
type Checkout struct {
	ID        string    `json:"id"`
	Status    string    `json:"status" enum:"checked_out,available"`
	SafeID    string    `json:"safe_id"`
	AccountID string    `json:"account_id"`
	UserID    string    `json:"user_id"`
	Username  string    `json:"username,omitempty"`
	Kind      string    `json:"kind,omitempty"`
	Value     string    `json:"value,omitempty" doc:"The secret, this once"`
	ExpiresAt time.Time `json:"expires_at"`
	CreatedAt time.Time `json:"created_at"`
}

// Confirmation is a change that waits for a manager.
type Confirmation struct {
	ID          string     `json:"id"`
	Kind        string     `json:"kind" enum:"redirection,weakening"`
	Status      string     `json:"status" enum:"pending,confirmed,rejected,superseded" doc:"superseded: a later change took its place"`
	SafeID      string     `json:"safe_id"`
	TargetType  string     `json:"target_type"`
	TargetID    string     `json:"target_id"`
	Summary     string     `json:"summary"`
	RequestedBy string     `json:"requested_by"`
	DecidedBy   string     `json:"decided_by,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	DecidedAt   *time.Time `json:"decided_at,omitempty"`
}
