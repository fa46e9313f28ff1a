package v1

import "time"

// AuditParty is who acted or what was acted on.
type AuditParty struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// AuditEvent is one entry of the tamper-evident log.
type AuditEvent struct {
	ID        string         `json:"id"`
	Time      time.Time      `json:"time"`
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Category  string         `json:"category"`
	Actor     AuditParty     `json:"actor"`
	Target    AuditParty     `json:"target"`
	OrgID     string         `json:"org_id"`
	SourceIP  string         `json:"source_ip"`
	RequestID string         `json:"request_id"`
	Metadata  map[string]any `json:"metadata"`
	LeafIndex *int64         `json:"leaf_index"`
	LeafHash  string         `json:"leaf_hash"`
}

// Checkpoint is a signed statement of a log's size and root.
type Checkpoint struct {
	Note      string `json:"note" doc:"A signed note as golang.org/x/mod/sumdb/note reads it"`
	Key       string `json:"key" doc:"The verifier key of that note"`
	PublicKey string `json:"public_key" doc:"Base64: the organization's ed25519 public key, which is in key as well"`
	TreeSize  int64  `json:"tree_size"`
	RootHash  string `json:"root_hash" doc:"Base64, as in the note"`
}

// Proof is an inclusion or a consistency proof (RFC 6962 section 2.1).
type Proof struct {
	Kind      string   `json:"kind" enum:"inclusion,consistency"`
	LeafIndex *int64   `json:"leaf_index,omitempty"`
	LeafHash  string   `json:"leaf_hash,omitempty" doc:"Lower-case hex"`
	FromSize  *int64   `json:"from_size,omitempty"`
	TreeSize  int64    `json:"tree_size"`
	Hashes    []string `json:"hashes" doc:"Base64, lowest first"`
	Event     string   `json:"event,omitempty" doc:"With an inclusion proof: the event's canonical JSON. SHA-256 over a zero byte and this is leaf_hash"`
}
