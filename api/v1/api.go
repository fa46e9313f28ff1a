// Package v1 holds the JSON shapes of the REST API under /api/v1, shared by
// the server and the Go client. It owns field names and nothing else: no
// rules, no imports of this module. Start with the file of the noun.
//
// A type whose name ends in In is what a client writes; the type without it
// is what the server answers. PATCH takes a JSON merge patch (RFC 7396) of
// the In type.
package v1

import "time"

// Error is the envelope of every refusal.
type Error struct {
	Error     string    `json:"error" doc:"What went wrong, as a constant" example:"NOT_FOUND"`
	Message   string    `json:"message" doc:"One sentence for a person"`
	RequestID string    `json:"request_id,omitempty" doc:"Quote it when asking for help"`
	Details   []Problem `json:"details,omitempty" doc:"With VALIDATION_FAILED: the fields that are not acceptable"`

	// With PASSWORD_CHANGE_REQUIRED: a token that opens only /me/password.
	AccessToken string `json:"access_token,omitempty" doc:"With PASSWORD_CHANGE_REQUIRED: a token that opens only /me/password"`
	ExpiresIn   int    `json:"expires_in,omitempty" doc:"Its lifetime in seconds"`
	// With CONFLICT on a repeated Idempotency-Key whose answer carried a secret.
	ID string `json:"id,omitempty" doc:"With CONFLICT on a repeated Idempotency-Key: the id of the object that the first request made"`
}

// Problem is one field that is not acceptable. The value itself is never
// repeated.
type Problem struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
}

// LoginIn is the body of POST /auth/login.
type LoginIn struct {
	Email    string `json:"email" maxLength:"320"`
	Password string `json:"password" maxLength:"1024"`
}

// Token is a login token.
type Token struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in" doc:"Seconds"`
}

// ConsoleLogin is a login that a cookie carries.
type ConsoleLogin struct {
	CSRFToken   string    `json:"csrf_token" doc:"Goes with every request but GET and HEAD, as X-CSRF-Token"`
	ExpiresAt   time.Time `json:"expires_at" doc:"When it ends, used or not"`
	IdleSeconds int       `json:"idle_seconds" doc:"It ends when it is not used for so long; requests with X-Background: 1 do not count"`
}

// StepUpIn is the body of POST /auth/step-up.
type StepUpIn struct {
	Password string `json:"password,omitempty" maxLength:"1024"`
	Factor   string `json:"factor,omitempty" enum:"totp,webauthn,recovery_code"`
	Code     string `json:"code,omitempty" maxLength:"4096"`
}

// StepUp says until when the login counts as fresh.
type StepUp struct {
	FreshUntil time.Time `json:"fresh_until"`
}

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

// Me is the caller.
type Me struct {
	ID                 string    `json:"id"`
	Email              string    `json:"email"`
	Name               string    `json:"name"`
	HomeOrgID          string    `json:"home_org_id"`
	InstanceAdmin      bool      `json:"instance_admin"`
	MustChangePassword bool      `json:"must_change_password"`
	CreatedAt          time.Time `json:"created_at"`
}

// MeIn is what a person changes of themselves.
type MeIn struct {
	Name string `json:"name,omitempty" maxLength:"128"`
}

// PasswordIn is the body of PUT /me/password.
type PasswordIn struct {
	CurrentPassword string `json:"current_password,omitempty" maxLength:"1024" doc:"Not needed with the token of PASSWORD_CHANGE_REQUIRED"`
	NewPassword     string `json:"new_password" maxLength:"1024"`
}

// Login is one login of the caller.
type Login struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	ClientIP  string    `json:"client_ip"`
	UserAgent string    `json:"user_agent"`
	Current   bool      `json:"current"`
}

// SSHKeyIn registers a public key.
type SSHKeyIn struct {
	Name      string `json:"name" maxLength:"64"`
	PublicKey string `json:"public_key" maxLength:"16384" doc:"One line of an authorized_keys file, without options"`
}

// SSHKey is a registered public key.
type SSHKey struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	PublicKey   string     `json:"public_key"`
	Fingerprint string     `json:"fingerprint" doc:"SHA256:… as ssh-keygen prints it"`
	CreatedAt   time.Time  `json:"created_at"`
	LastUsedAt  *time.Time `json:"last_used_at,omitempty"`
}

// PersonalAccessTokenIn asks for a token.
type PersonalAccessTokenIn struct {
	Name          string   `json:"name" maxLength:"64"`
	Scopes        []string `json:"scopes" maxItems:"64"`
	ExpiresInDays int      `json:"expires_in_days"`
}

// PersonalAccessToken is a token; its value is shown once, at creation.
type PersonalAccessToken struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Scopes     []string   `json:"scopes"`
	ExpiresAt  time.Time  `json:"expires_at"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	Token      string     `json:"token,omitempty" doc:"The token itself, this once"`
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
}

// MemberPatch is the body of PATCH /org/members/{user_id}.
type MemberPatch struct {
	Role string `json:"role" enum:"owner,admin,policy_manager,operator,auditor"`
}

// Member is a user of the organization.
type Member struct {
	UserID   string    `json:"user_id"`
	Email    string    `json:"email"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	Status   string    `json:"status" enum:"active,invited,suspended"`
	JoinedAt time.Time `json:"joined_at"`
}
