package v1

import "time"

// AccessRequestIn is the body of POST /access-requests.
type AccessRequestIn struct {
	SafeID          string `json:"safe_id"`
	Reason          string `json:"reason" maxLength:"1000"`
	DurationSeconds int    `json:"duration_seconds" minimum:"60" maximum:"604800" doc:"How long the grant is to last"`
	Ticket          string `json:"ticket,omitempty" maxLength:"64"`
	Command         string `json:"command,omitempty" maxLength:"4096" doc:"The only command that the grant is to allow, once; none: any session"`
}

// AccessRequest is access that somebody asks for.
type AccessRequest struct {
	ID              string          `json:"id"`
	Status          string          `json:"status" enum:"pending,approved,rejected,expired,cancelled"`
	SafeID          string          `json:"safe_id"`
	SafeName        string          `json:"safe_name"`
	UserID          string          `json:"user_id"`
	Email           string          `json:"email"`
	Reason          string          `json:"reason"`
	Ticket          string          `json:"ticket,omitempty"`
	DurationSeconds int             `json:"duration_seconds"`
	Command         string          `json:"command,omitempty"`
	CommandSHA256   string          `json:"command_sha256,omitempty" doc:"Of the command, in hex"`
	Approvers       int             `json:"approvers" doc:"How many different people must agree"`
	Decisions       []AccessDecided `json:"decisions"`
	CreatedAt       time.Time       `json:"created_at"`
	ExpiresAt       time.Time       `json:"expires_at" doc:"Nobody decides on it afterwards"`
	EndedAt         *time.Time      `json:"ended_at,omitempty"`
	GrantID         string          `json:"grant_id,omitempty"`
	GrantedSeconds  int             `json:"granted_seconds,omitempty" doc:"Once approved; at most what was asked for"`
	CanDecide       bool            `json:"can_decide" doc:"Whether the caller may decide on it now"`
}

// AccessDecided is what one person said.
type AccessDecided struct {
	UserID          string    `json:"user_id"`
	Email           string    `json:"email"`
	Decision        string    `json:"decision" enum:"approve,reject"`
	Comment         string    `json:"comment,omitempty"`
	DurationSeconds int       `json:"duration_seconds,omitempty" doc:"The longest that they agree to"`
	At              time.Time `json:"at"`
}

// AccessDecideIn is the body of …/approve and …/reject. It may be left out.
type AccessDecideIn struct {
	DurationSeconds int    `json:"duration_seconds,omitempty" minimum:"0" maximum:"604800" doc:"To agree to less time than was asked for"`
	Comment         string `json:"comment,omitempty" maxLength:"1000"`
	Link            string `json:"link,omitempty" maxLength:"512" doc:"What stands behind # in the address of a letter, for a decision by it"`
}

// Grant is access for a time, on the word of others.
type Grant struct {
	ID            string     `json:"id"`
	RequestID     string     `json:"request_id"`
	UserID        string     `json:"user_id"`
	Email         string     `json:"email"`
	SafeID        string     `json:"safe_id"`
	SafeName      string     `json:"safe_name"`
	Approvers     int        `json:"approvers" doc:"How many have agreed"`
	StartsAt      time.Time  `json:"starts_at"`
	EndsAt        time.Time  `json:"ends_at"`
	CommandSHA256 string     `json:"command_sha256,omitempty" doc:"Of the only command, which it allows once"`
	Status        string     `json:"status" enum:"active,used,ended,revoked"`
	EndedAt       *time.Time `json:"ended_at,omitempty"`
	EndedBy       string     `json:"ended_by,omitempty" doc:"Who revoked it"`
}
