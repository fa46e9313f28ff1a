package v1

import "time"

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
