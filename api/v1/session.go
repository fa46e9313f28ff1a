package v1

import "time"

// SessionIn asks for a session.
type SessionIn struct {
	SafeID     string `json:"safe_id" maxLength:"64"`
	ResourceID string `json:"resource_id,omitempty" maxLength:"64"`
	AccountID  string `json:"account_id,omitempty" maxLength:"64"`
	Reason     string `json:"reason,omitempty" maxLength:"1024"`
}

// Launch says how to connect.
type Launch struct {
	ID        string    `json:"id"`
	Protocol  string    `json:"protocol"`
	ExpiresAt time.Time `json:"expires_at"`
	Command   string    `json:"command,omitempty" doc:"For a native client"`
	// TerminalURL and TerminalTicket are for a browser.
	TerminalURL    string `json:"terminal_url,omitempty" doc:"Path of the WebSocket of a terminal in the browser"`
	TerminalTicket string `json:"terminal_ticket,omitempty" doc:"For its first message: serves once, within 60 seconds"`
}

// Session is one brokered connection.
type Session struct {
	ID          string     `json:"id"`
	Status      string     `json:"status" enum:"pending,active,ended,failed"`
	Protocol    string     `json:"protocol"`
	UserID      string     `json:"user_id"`
	SafeID      string     `json:"safe_id"`
	ResourceID  string     `json:"resource_id"`
	AccountID   string     `json:"account_id"`
	StartedAt   time.Time  `json:"started_at"`
	EndedAt     *time.Time `json:"ended_at"`
	EndReason   string     `json:"end_reason"`
	RecordingID string     `json:"recording_id"`
	BytesIn     int64      `json:"bytes_in"`
	BytesOut    int64      `json:"bytes_out"`
	ClientIP    string     `json:"client_ip"`

	// Names as they are now; absent once the object is gone.
	UserEmail    string `json:"user_email,omitempty"`
	SafeName     string `json:"safe_name,omitempty"`
	ResourceName string `json:"resource_name,omitempty"`
	AccountName  string `json:"account_name,omitempty"`
}

// TerminateIn may say why a session is ended.
type TerminateIn struct {
	Reason string `json:"reason,omitempty" maxLength:"256"`
}

// Recording is the body of a session.
type Recording struct {
	ID         string     `json:"id"`
	SessionID  string     `json:"session_id"`
	Status     string     `json:"status" enum:"in_progress,completed,error"`
	Format     string     `json:"format"`
	DurationMS int64      `json:"duration_ms"`
	SizeBytes  int64      `json:"size_bytes"`
	RootHash   string     `json:"root_hash" doc:"SHA-256, lower-case hex"`
	StartedAt  time.Time  `json:"started_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	UserID     string     `json:"user_id"`
	SafeID     string     `json:"safe_id"`
	ResourceID string     `json:"resource_id"`
	AccountID  string     `json:"account_id"`
	Error      string     `json:"error,omitempty"`

	// Names as they are now; absent once the object is gone.
	UserEmail    string `json:"user_email,omitempty"`
	SafeName     string `json:"safe_name,omitempty"`
	ResourceName string `json:"resource_name,omitempty"`
	AccountName  string `json:"account_name,omitempty"`
}

// RecordingVerification is the outcome of checking a recording.
type RecordingVerification struct {
	Verified        bool     `json:"verified"`
	VerifiedUntilMS int64    `json:"verified_until_ms"`
	Problems        []string `json:"problems"`
}

// RecordingChunks is what a reader needs to check a recording by themselves.
// docs/formats/recording.md says how.
type RecordingChunks struct {
	RecordingID     string           `json:"recording_id"`
	Status          string           `json:"status" enum:"in_progress,completed,error"`
	Header          string           `json:"header" doc:"Base64: the beginning of the file, up to the first chunk"`
	Chunks          []RecordingChunk `json:"chunks" doc:"In order; of a recording in progress, those that are durable"`
	RootHash        string           `json:"root_hash" doc:"Merkle root over the chunks' hashes, lower-case hex, as it was noted in the audit log; empty before the end"`
	Seal            *RecordingSeal   `json:"seal,omitempty" doc:"Absent before the end"`
	OrganizationKey string           `json:"organization_key" doc:"Base64: the organization's ed25519 public key, as the vault has it"`
}

// RecordingChunk is one chunk's place.
type RecordingChunk struct {
	N       int64  `json:"n"`
	Size    int64  `json:"size" doc:"Bytes of header and ciphertext"`
	FromUS  int64  `json:"from_us" doc:"Microseconds since the recording's start"`
	UntilUS int64  `json:"until_us"`
	Hash    string `json:"hash" doc:"SHA-256 of header and ciphertext, lower-case hex"`
}

// RecordingSeal is the end of the file.
type RecordingSeal struct {
	Statement string `json:"statement" doc:"What is signed, as text"`
	Signature string `json:"signature" doc:"Base64: ed25519"`
	PublicKey string `json:"public_key" doc:"Base64: the key that the file names; compare it with organization_key"`
}

// RecordingKey opens a recording's chunks.
type RecordingKey struct {
	Key string `json:"key" doc:"Base64: 32 bytes for AES-256-GCM"`
}

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

// VaultStatus says whether secrets can be reached.
type VaultStatus struct {
	Sealed      bool   `json:"sealed"`
	Initialized bool   `json:"initialized"`
	SealKind    string `json:"seal_kind"`
}

// Stats is figures of the organization. Hours and days are those of UTC; the
// last of each row is the one under way.
type Stats struct {
	At                     time.Time   `json:"at"`
	ActiveSessions         int64       `json:"active_sessions"`
	PendingSessions        int64       `json:"pending_sessions" doc:"Launched, and not connected yet"`
	SessionsPerHour        []Count     `json:"sessions_per_hour" doc:"The last 24 hours, the oldest first"`
	SessionsPerDay         []Count     `json:"sessions_per_day" doc:"The last 30 days, the oldest first"`
	FailedLoginsPerHour    []Count     `json:"failed_logins_per_hour" doc:"Of people whose home this organization is; the last 24 hours"`
	RefusedLaunchesPerHour []Count     `json:"refused_launches_per_hour" doc:"The last 24 hours"`
	Safes                  int64       `json:"safes"`
	Resources              int64       `json:"resources"`
	Accounts               int64       `json:"accounts"`
	Members                int64       `json:"members"`
	Recordings             int64       `json:"recordings"`
	RecordingsBytes        int64       `json:"recordings_bytes"`
	Health                 Health      `json:"health" doc:"Of the server: database, recordings, vault"`
	Vault                  VaultStatus `json:"vault"`
}

// Count is how often something happened from a time on, until the next.
type Count struct {
	From  time.Time `json:"from"`
	Count int64     `json:"count"`
}

// Health is the answer of /healthz and /readyz.
type Health struct {
	Status string            `json:"status" enum:"ok,unavailable"`
	Checks map[string]string `json:"checks,omitempty"`
}
