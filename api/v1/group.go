package v1

import "time"

// NewGroup is the body of POST /org/groups.
type NewGroup struct {
	GroupIn
	Source string `json:"source,omitempty" enum:"manual,claim" doc:"Who fills it; default manual"`
}

// GroupIn is the body of PATCH /org/groups/{id}.
type GroupIn struct {
	Name      string   `json:"name" maxLength:"64"`
	MemberIDs []string `json:"member_ids,omitempty" maxItems:"10000" doc:"Users of the organization"`
}

// Group is users of the organization under one name.
type Group struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	MemberIDs   []string  `json:"member_ids"`
	MemberCount int       `json:"member_count"`
	Source      string    `json:"source" enum:"manual,scim,claim" doc:"Who fills it"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// GroupMember is somebody in a group.
type GroupMember struct {
	UserID string `json:"user_id"`
	Email  string `json:"email"`
	Name   string `json:"name"`
	Role   string `json:"role" doc:"In the organization"`
	Status string `json:"status" enum:"active,invited,suspended"`
}
