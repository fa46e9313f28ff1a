package v1

import "time"

// SessionIn asks for a session.
type SessionIn struct {
	SafeID     string `json:"safe_id" maxLength:"64"`
	ResourceID string `json:"resource_id,omitempty" maxLength:"64"`
	AccountID  string `json:"account_id,omitempty" maxLength:"64"`
	Reason     string `json:"reason,omitempty" maxLength:"1024" doc:"Needed in an emergency"`
	Emergency  bool   `json:"emergency,omitempty" doc:"Break-glass: without an approval, for those who are named for it in the Safe"`
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
	Emergency   bool       `json:"emergency"`
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
