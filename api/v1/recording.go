package v1

import "time"

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
