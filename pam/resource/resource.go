// Package resource is a target: where it is, how it is spoken to, and by what
// it is recognised. Registering it gives nobody access.
//
// It owns the Resource and the rule that sending its credentials elsewhere
// must be confirmed. It must not dial. Start at [Resource] and [Service].
package resource

import (
	"context"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// HostKeyPolicy says what happens at a first contact.
type HostKeyPolicy string

// The policies: only a key that is pinned is accepted, or the first one that
// is seen is pinned.
const (
	Pinned      HostKeyPolicy = "pinned"
	AcceptFirst HostKeyPolicy = "accept_first"
)

// TLS says how the target's certificate is checked. CA is PEM.
type TLS struct {
	Mode       string `json:"mode,omitempty"` // "", disable, require, verify
	CA         string `json:"ca,omitempty"`
	ServerName string `json:"server_name,omitempty"`
}

// Settings is everything that a client writes of a resource.
type Settings struct {
	Name          string
	Slug          string // "" at creation: from the name
	Type          pam.Protocol
	Host          string
	Port          int // 0: the protocol's own
	ConnectorIDs  []pam.ConnectorID
	HostKeys      []string // OpenSSH lines, "type base64", without comment
	HostKeyPolicy HostKeyPolicy
	TLS           TLS
}

// Resource is a resource as it stands.
type Resource struct {
	ID  pam.ResourceID
	Org pam.OrgID
	Settings
	Learned   bool // HostKeys were pinned at a first contact
	Version   int64
	CreatedBy pam.UserID
	CreatedAt time.Time
	UpdatedAt time.Time
	// Pending is the first confirmation that the resource's credentials wait
	// for, "" when they wait for none.
	Pending pam.ConfirmationID
}

// Cursor is the resource's place in a list.
func (r Resource) Cursor() string {
	return naming.Cursor{Key: naming.Key(r.Name), ID: string(r.ID)}.String()
}

// Filter narrows a list of resources, and orders it. The zero value does neither.
type Filter struct {
	Text  string       // in the name or host, without regard to case
	Type  pam.Protocol // "": any
	Order naming.Order
}

// Query is one page of resources in the order of the filter.
type Query struct {
	Filter
	User  pam.UserID // with All false: those bound in a Safe that User is in
	All   bool
	After naming.Cursor
	Limit int
	Now   time.Time
}

// Store keeps resources. Everything that it changes is durable when it
// returns.
type Store interface {
	// CreateResource returns it with the slug that it got.
	CreateResource(ctx context.Context, org pam.OrgID, r Resource, e audit.Entry) (Resource, error)
	ResourceByID(ctx context.Context, org pam.OrgID, id pam.ResourceID) (Resource, error)
	// ResourceVisible says whether a Safe that user is in binds the resource.
	ResourceVisible(ctx context.Context, org pam.OrgID, id pam.ResourceID, user pam.UserID, now time.Time) (bool, error)
	ListResources(ctx context.Context, org pam.OrgID, q Query) ([]Resource, error)
	// MatchResources lists up to two resources that ref (an id or a slug) names,
	// or without one that are at the type, host and port.
	MatchResources(ctx context.Context, org pam.OrgID, ref string, t pam.Protocol, host string, port int) ([]Resource, error)
	// UpdateResource replaces the settings if the resource still has version,
	// else it is a Precondition. With h the change is a redirection: every
	// Safe that binds the resource waits for a manager.
	UpdateResource(ctx context.Context, org pam.OrgID, r Resource, version int64, h *pam.Hold, e audit.Entry) (Resource, error)
	// PinHostKey pins line if no key is pinned and the resource accepts its
	// first; else it is a Conflict.
	PinHostKey(ctx context.Context, org pam.OrgID, id pam.ResourceID, line string, e audit.Entry) error
	// DeleteResource is a Conflict while a Safe or an account refers to it.
	DeleteResource(ctx context.Context, org pam.OrgID, id pam.ResourceID, version int64, e audit.Entry) error
}
