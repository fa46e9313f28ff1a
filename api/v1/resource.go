package v1

import "time"

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
	Type          string   `json:"type" enum:"ssh,postgresql,mysql,redis,mssql,mongodb,http,kubernetes,rdp,vnc,ldap"`
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
