package v1

import "time"

// InvitationsIn is the body of POST /org/invitations.
type InvitationsIn struct {
	Emails     []string `json:"emails" minItems:"1" maxItems:"50"`
	Role       string   `json:"role" enum:"owner,admin,policy_manager,operator,auditor"`
	SafeIDs    []string `json:"safe_ids,omitempty" maxItems:"50" doc:"Safes in which they get a role; you manage each"`
	SafeRole   string   `json:"safe_role,omitempty" enum:"viewer,operator,manager,approver" doc:"Default operator, for an auditor viewer"`
	RequireMFA bool     `json:"require_mfa,omitempty" doc:"They need a second factor, whatever the organization's settings say"`
	Language   string   `json:"language,omitempty" enum:"en,de,fr,pl" doc:"Of the letter; default en"`
}

// Invitation is one person invited to the organization.
type Invitation struct {
	ID         string     `json:"id"`
	Email      string     `json:"email"`
	Role       string     `json:"role"`
	SafeIDs    []string   `json:"safe_ids"`
	SafeRole   string     `json:"safe_role,omitempty"`
	RequireMFA bool       `json:"require_mfa"`
	Status     string     `json:"status" enum:"pending,accepted,revoked,expired"`
	InvitedBy  string     `json:"invited_by" doc:"The id of who invited, or sent it anew"`
	CreatedAt  time.Time  `json:"created_at"`
	SentAt     time.Time  `json:"sent_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	EndedAt    *time.Time `json:"ended_at,omitempty"`
	AcceptedBy string     `json:"accepted_by,omitempty"`
	Delivery   *Delivery  `json:"delivery,omitempty" doc:"Of the last letter; kept for 30 days"`
}

// Delivery is how it went with a letter.
type Delivery struct {
	Status   string     `json:"status" enum:"pending,sent,failed" doc:"sent: the mail server has taken it"`
	Attempts int        `json:"attempts"`
	Problem  string     `json:"problem,omitempty"`
	At       *time.Time `json:"at,omitempty"`
}

// LinkIn is a link's token.
type LinkIn struct {
	Token string `json:"token" maxLength:"128" doc:"What stands behind the # of the link"`
}

// InvitationShown is what whoever has the link may know.
type InvitationShown struct {
	OrgName   string    `json:"org_name"`
	Email     string    `json:"email"`
	Role      string    `json:"role"`
	Known     bool      `json:"known" doc:"There is an account with this address: sign in to accept"`
	ExpiresAt time.Time `json:"expires_at"`
}

// InvitationAcceptIn is the body of POST /invitations/accept.
type InvitationAcceptIn struct {
	Token    string `json:"token" maxLength:"128"`
	Password string `json:"password" maxLength:"1024"`
	Name     string `json:"name,omitempty" maxLength:"64"`
	Language string `json:"language,omitempty" enum:"en,de,fr,pl" doc:"In which you are written to"`
}

// InvitationAccepted says what came of it.
type InvitationAccepted struct {
	OrgID  string `json:"org_id"`
	UserID string `json:"user_id"`
	Email  string `json:"email"`
	Role   string `json:"role"`
}

// PasswordResetIn is the body of POST /org/members/{user_id}/reset-password.
type PasswordResetIn struct {
	Language string `json:"language,omitempty" enum:"en,de,fr,pl" doc:"Of the letter, where the person's is not known; default en"`
}

// PasswordReset says to whom the link goes.
type PasswordReset struct {
	UserID    string    `json:"user_id"`
	Email     string    `json:"email"`
	ExpiresAt time.Time `json:"expires_at"`
}

// NewPasswordIn is the body of POST /auth/new-password.
type NewPasswordIn struct {
	Token       string `json:"token" maxLength:"128" doc:"What stands behind the # of the link"`
	NewPassword string `json:"new_password" maxLength:"1024"`
}

// OwnershipIn is the body of POST /org/transfer-ownership.
type OwnershipIn struct {
	UserID string `json:"user_id" maxLength:"64" doc:"Becomes an owner in your place; you become an admin"`
}
