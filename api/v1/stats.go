package v1

import "time"

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
