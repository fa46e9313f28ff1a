package v1

import "time"

// SCIMTokenIn is the body of POST /org/sso/scim-tokens.
type SCIMTokenIn struct {
	Name          string `json:"name" minLength:"1" maxLength:"64"`
	Role          string `json:"role,omitempty" enum:"policy_manager,operator,auditor" default:"operator" doc:"Of people whom the directory brings in"`
	ExpiresInDays int    `json:"expires_in_days,omitempty" minimum:"1" maximum:"365" default:"365"`
}

// SCIMToken lets a directory fill the organization through /scim/v2.
type SCIMToken struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Role       string     `json:"role"`
	CreatedBy  string     `json:"created_by"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty" doc:"To the minute"`
	Token      string     `json:"token,omitempty" doc:"This once"`
}
