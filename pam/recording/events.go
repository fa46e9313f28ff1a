package recording

import (
	"context"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Events is the part of [audit.Store] that makes events durable on their own;
// those that belong to a change of a row go with it.
type Events interface {
	Append(ctx context.Context, org pam.OrgID, entries ...audit.Entry) error
}

// target names a recording in an event.
func target(r Recording) audit.Party { return audit.Party{Type: "recording", ID: string(r.ID)} }

// server is the actor of what nobody asked for.
func server(r Recording) pam.Actor { return pam.Actor{Org: r.Org, Token: pam.SystemToken} }

// sealedEvent puts the root into the audit log: from then on the recording
// cannot be exchanged for another without the log disagreeing.
func (s *Service) sealedEvent(r Recording, seal Seal) audit.Entry {
	t := audit.RecordingSealed
	if seal.Recovered {
		t = audit.RecordingRecovered
	}
	return s.scribe.Entry(server(r), t, target(r), map[string]any{
		"session_id": string(r.SessionID), "safe_id": string(r.SafeID), "root_hash": seal.Root,
		"chunks": seal.Chunks, "duration_ms": seal.DurationMS, "size_bytes": seal.SizeBytes,
	})
}

func (s *Service) failedEvent(r Recording, reason string) audit.Entry {
	return s.scribe.Entry(server(r), audit.RecordingFailed, target(r), map[string]any{
		"session_id": string(r.SessionID), "safe_id": string(r.SafeID), "reason": reason,
	})
}

func (s *Service) noteOpened(ctx context.Context, actor pam.Actor, r Recording) error {
	return s.events.Append(ctx, r.Org, s.scribe.Entry(actor, audit.RecordingOpened, target(r), map[string]any{
		"session_id": string(r.SessionID), "safe_id": string(r.SafeID), "user_id": string(r.UserID),
	}))
}
