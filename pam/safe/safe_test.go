package safe

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/pam"
)

func hours(zone, from, to string, days ...string) *ValidHours {
	return &ValidHours{TimeZone: zone, Windows: []Window{{Days: days, From: from, To: to}}}
}

// strict is a Safe in which everything can be weakened.
func strict() Settings {
	at := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	s := Settings{
		Name: "s", Approval: ApprovalDual, Clipboard: Blocked, FileTransfer: Blocked, MFAStepUp: true, SessionTTLSeconds: 100,
		ValidHours: hours("UTC", "08:00", "18:00", "mon", "tue"), Checkout: Checkout{Enabled: true, TTLSeconds: 100, Exclusive: true},
		Rotation: Rotation{IntervalDays: 30, AfterSession: true, AfterCheckIn: true}, CredentialExpiresAt: &at,
	}
	return s.normal()
}

func TestEveryWeakeningIsNoticedAndItsOppositeIsNone(t *testing.T) {
	later := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*Settings)
		field  string
	}{
		"fewer approvals":            {func(s *Settings) { s.Approval = ApprovalSingle }, "approval"},
		"no approval":                {func(s *Settings) { s.Approval = ApprovalNone }, "approval"},
		"recording off":              {func(s *Settings) { s.Recording = RecordingOff }, "recording"},
		"a time of grace":            {func(s *Settings) { s.RecordingFailure = RecordingFailure{FailGrace, 1} }, "recording_failure"},
		"clipboard audited":          {func(s *Settings) { s.Clipboard = Audited }, "clipboard"},
		"files allowed":              {func(s *Settings) { s.FileTransfer = Allowed }, "file_transfer"},
		"ports forwarded":            {func(s *Settings) { s.PortForwarding = true }, "port_forwarding"},
		"agents forwarded":           {func(s *Settings) { s.AgentForwarding = true }, "agent_forwarding"},
		"no step-up":                 {func(s *Settings) { s.MFAStepUp = false }, "mfa_step_up"},
		"longer sessions":            {func(s *Settings) { s.SessionTTLSeconds++ }, "session_ttl_seconds"},
		"any hour":                   {func(s *Settings) { s.ValidHours = nil }, "valid_hours"},
		"one more minute":            {func(s *Settings) { s.ValidHours = hours("UTC", "07:59", "18:00", "mon", "tue") }, "valid_hours"},
		"one more day":               {func(s *Settings) { s.ValidHours = hours("UTC", "08:00", "18:00", "mon", "tue", "sun") }, "valid_hours"},
		"into the night":             {func(s *Settings) { s.ValidHours = hours("UTC", "17:00", "01:00", "mon") }, "valid_hours"},
		"another time zone":          {func(s *Settings) { s.ValidHours = hours("Asia/Tokyo", "09:00", "10:00", "mon") }, "valid_hours"},
		"longer checkouts":           {func(s *Settings) { s.Checkout.TTLSeconds++ }, "checkout"},
		"shared checkouts":           {func(s *Settings) { s.Checkout.Exclusive = false }, "checkout"},
		"rarer rotation":             {func(s *Settings) { s.Rotation.IntervalDays = 31 }, "rotation"},
		"no rotation":                {func(s *Settings) { s.Rotation.IntervalDays = 0 }, "rotation"},
		"no rotation after sessions": {func(s *Settings) { s.Rotation.AfterSession = false }, "rotation"},
		"a later end":                {func(s *Settings) { s.CredentialExpiresAt = &later }, "credential_expires_at"},
		"no end":                     {func(s *Settings) { s.CredentialExpiresAt = nil }, "credential_expires_at"},
	} {
		old, s := strict(), strict()
		c.change(&s)
		if diff := cmp.Diff([]string{c.field}, s.Weakens(old)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if back := old.Weakens(s); len(back) != 0 && name != "another time zone" && name != "into the night" {
			t.Errorf("%s: undoing it weakens %v", name, back)
		}
	}
	off, on := Settings{Name: "s"}.normal(), Settings{Name: "s", Checkout: Checkout{Enabled: true}}.normal()
	if got := on.Weakens(off); !slices.Equal(got, []string{"checkout"}) {
		t.Errorf("turning checkout on weakens %v", got)
	}
	if got := off.Weakens(on); len(got) != 0 {
		t.Errorf("turning checkout off weakens %v", got)
	}
	if got := strict().Weakens(off); !slices.Equal(got, []string{"checkout"}) {
		t.Errorf("tightening weakens %v", got)
	}
}

func TestValidHoursHoldInTheirTimeZoneAcrossMidnightAndSummerTime(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	office, night := hours("Europe/Berlin", "08:00", "18:00", "mon", "fri"), hours("UTC", "22:00", "06:00", "fri")
	whole := hours("UTC", "00:00", "24:00", "sun")
	for _, c := range []struct {
		hours *ValidHours
		at    string
		want  bool
	}{
		{office, "2026-11-23T07:00:00Z", true}, // 08:00 in winter
		{office, "2026-11-23T06:59:59Z", false},
		{office, "2026-07-20T06:00:00Z", true}, // 08:00 in summer
		{office, "2026-11-23T17:00:00Z", false},
		{office, "2026-11-24T10:00:00Z", false}, // a Tuesday
		{night, "2026-11-27T21:59:00Z", false},
		{night, "2026-11-27T22:00:00Z", true},
		{night, "2026-11-28T05:59:00Z", true}, // Friday's night, on Saturday
		{night, "2026-11-28T06:00:00Z", false},
		{night, "2026-11-27T05:00:00Z", false}, // Thursday's night
		{whole, "2026-11-29T23:59:59Z", true},
		{whole, "2026-11-30T00:00:00Z", false},
		{nil, "2026-11-30T00:00:00Z", true},
		{hours("Nowhere/Land", "00:00", "24:00", "mon"), "2026-11-30T00:00:00Z", false},
	} {
		if got := c.hours.Contains(at(c.at)); got != c.want {
			t.Errorf("%+v at %s: %v", c.hours, c.at, got)
		}
	}
}

func TestSettingsThatCannotBeAreRefusedByField(t *testing.T) {
	for field, change := range map[string]func(*Settings){
		"name":                            func(s *Settings) { s.Name = "a\x1b" },
		"slug":                            func(s *Settings) { s.Slug = "-rf" },
		"description":                     func(s *Settings) { s.Description = strings.Repeat("x", 4097) },
		"approval":                        func(s *Settings) { s.Approval = "triple" },
		"recording":                       func(s *Settings) { s.Recording = "maybe" },
		"recording_failure.mode":          func(s *Settings) { s.RecordingFailure.Mode = "open" },
		"recording_failure.grace_seconds": func(s *Settings) { s.RecordingFailure.GraceSeconds = 5 },
		"clipboard":                       func(s *Settings) { s.Clipboard = "on" },
		"file_transfer":                   func(s *Settings) { s.FileTransfer = "on" },
		"session_ttl_seconds":             func(s *Settings) { s.SessionTTLSeconds = -1 },
		"valid_hours.time_zone":           func(s *Settings) { s.ValidHours = hours("Local", "08:00", "09:00", "mon") },
		"valid_hours.windows":             func(s *Settings) { s.ValidHours = &ValidHours{TimeZone: "UTC"} },
		"valid_hours.windows.days":        func(s *Settings) { s.ValidHours = hours("UTC", "08:00", "09:00", "monday") },
		"valid_hours.windows.from":        func(s *Settings) { s.ValidHours = hours("UTC", "24:00", "09:00", "mon") },
		"valid_hours.windows.to":          func(s *Settings) { s.ValidHours = hours("UTC", "08:00", "8:00", "mon") },
		"checkout.ttl_seconds":            func(s *Settings) { s.Checkout.TTLSeconds = 1 << 40 },
		"visibility":                      func(s *Settings) { s.Visibility = "public" },
		"rotation.interval_days":          func(s *Settings) { s.Rotation.IntervalDays = -1 },
	} {
		s := Settings{Name: "s"}.normal()
		change(&s)
		err := s.check("create safe")
		e, ok := err.(*pam.Error)
		if !ok || e.Kind != pam.Invalid || len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := strict().check("create safe"); err != nil {
		t.Error(err)
	}
}

func TestSettingsSurviveTheFormInWhichTheyAreKept(t *testing.T) {
	want := strict()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := Settings{Name: want.Name, Slug: want.Slug, Visibility: want.Visibility}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}
