package safe

import "slices"

// strictness orders what can be weakened, from the loosest to the strictest.
var (
	approvals = []Approval{ApprovalNone, ApprovalSingle, ApprovalDual}
	channels  = []Channel{Allowed, Audited, Blocked}
)

func lowered[T comparable](order []T, from, to T) bool {
	return slices.Index(order, to) < slices.Index(order, from)
}

// Weakens lists the controls that are weaker in s than in old, by the names
// of their fields. Both must be valid.
func (s Settings) Weakens(old Settings) []string {
	var out []string
	note := func(weaker bool, field string) {
		if weaker {
			out = append(out, field)
		}
	}
	note(lowered(approvals, old.Approval, s.Approval), "approval")
	note(old.Recording == RecordingOn && s.Recording == RecordingOff, "recording")
	note(s.RecordingFailure.Mode == FailGrace &&
		(old.RecordingFailure.Mode == FailClosed || s.RecordingFailure.GraceSeconds > old.RecordingFailure.GraceSeconds), "recording_failure")
	note(lowered(channels, old.Clipboard, s.Clipboard), "clipboard")
	note(lowered(channels, old.FileTransfer, s.FileTransfer), "file_transfer")
	note(s.PortForwarding && !old.PortForwarding, "port_forwarding")
	note(s.AgentForwarding && !old.AgentForwarding, "agent_forwarding")
	note(old.MFAStepUp && !s.MFAStepUp, "mfa_step_up")
	note(s.SessionTTLSeconds > old.SessionTTLSeconds, "session_ttl_seconds")
	note(s.ValidHours.Widens(old.ValidHours), "valid_hours")
	// What is set while checkout is off has no effect, so that turning it on
	// is where it counts.
	note(s.Checkout.Enabled && (!old.Checkout.Enabled || s.Checkout.TTLSeconds > old.Checkout.TTLSeconds ||
		old.Checkout.Exclusive && !s.Checkout.Exclusive), "checkout")
	note(s.Rotation.weaker(old.Rotation), "rotation")
	note(old.CredentialExpiresAt != nil &&
		(s.CredentialExpiresAt == nil || s.CredentialExpiresAt.After(*old.CredentialExpiresAt)), "credential_expires_at")
	note(s.BreakGlass.adds(old.BreakGlass), "break_glass")
	return out
}

func (r Rotation) weaker(old Rotation) bool {
	return old.IntervalDays > 0 && (r.IntervalDays == 0 || r.IntervalDays > old.IntervalDays) ||
		old.AfterSession && !r.AfterSession || old.AfterCheckIn && !r.AfterCheckIn
}
