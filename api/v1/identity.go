package v1

import "time"

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
	ProviderID  string    `json:"provider_id,omitempty" doc:"Whose word it rests on, if somebody's: it is valid in their organization alone"`
	IdleSeconds int       `json:"idle_seconds" doc:"It ends when it is not used for so long; requests with X-Background: 1 do not count"`
}

// StepUpIn is the body of POST /auth/step-up.
type StepUpIn struct {
	Password string `json:"password,omitempty" maxLength:"1024"`
	Factor   string `json:"factor,omitempty" enum:"totp,webauthn,recovery_code"`
	Code     string `json:"code,omitempty" maxLength:"4096" doc:"Of a passkey: the PublicKeyCredential as JSON"`
	MFAToken string `json:"mfa_token,omitempty" maxLength:"128" doc:"Of a passkey: from POST /auth/step-up/webauthn"`
}

// StepUp says until when the login counts as fresh.
type StepUp struct {
	FreshUntil time.Time `json:"fresh_until"`
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
