package v1

import "time"

// KeyRotationIn says which keys to rotate.
type KeyRotationIn struct {
	Scope string `json:"scope,omitempty" enum:"all,root,organization" doc:"The root key, the keys of organizations, or both; default all"`
	OrgID string `json:"org_id,omitempty" maxLength:"64" doc:"With the scope organization: this one alone"`
}

// KeyRotation is the rotation that runs, or ran last, and what keys there are.
type KeyRotation struct {
	State           string            `json:"state" enum:"none,running,finished"`
	Scope           string            `json:"scope,omitempty" enum:"all,root,organization"`
	OrgID           string            `json:"org_id,omitempty" doc:"The only organization; empty for all"`
	StartedBy       string            `json:"started_by,omitempty" doc:"A user's id; empty for the server itself"`
	StartedAt       *time.Time        `json:"started_at,omitempty"`
	FinishedAt      *time.Time        `json:"finished_at,omitempty"`
	Steps           []KeyRotationStep `json:"steps"`
	ValuesPerSecond float64           `json:"values_per_second" doc:"On average of this rotation"`
	Trouble         string            `json:"trouble,omitempty" doc:"Why it waits; it goes on by itself"`
	Problems        []KeyProblem      `json:"problems" doc:"What does not open: left as it is, with the key that it names; the first hundred"`
	Keys            VaultKeys         `json:"keys"`
}

// KeyRotationStep is how far a step of a rotation is.
type KeyRotationStep struct {
	Step       string     `json:"step" enum:"root_key,organization_keys,values"`
	Total      int64      `json:"total"`
	Done       int64      `json:"done"`
	Failed     int64      `json:"failed"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

// KeyProblem names a sealed value, or a wrapped key, that does not open.
type KeyProblem struct {
	Place   string `json:"place" doc:"The table"`
	OrgID   string `json:"org_id"`
	Object  string `json:"object" doc:"The id of what the value belongs to"`
	Version int64  `json:"version"`
	Reason  string `json:"reason"`
}

// VaultKeys counts keys.
type VaultKeys struct {
	RootVersion         int64 `json:"root_version" doc:"Of the root key that wraps organization keys"`
	OldRootKeys         int   `json:"old_root_keys" doc:"Still in the list; each goes an hour after the last that it wrapped was wrapped anew"`
	OrganizationKeys    int   `json:"organization_keys" doc:"That seal: one for each organization, and one for the server itself"`
	OldOrganizationKeys int   `json:"old_organization_keys" doc:"That only open; each goes an hour after nothing names it any more"`
	DueForRotation      int   `json:"due_for_rotation" doc:"That have sealed half of what they may; the server rotates them by itself"`
}
