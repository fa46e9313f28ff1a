package webhook

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"vaultpam/pam/audit"
)

// The example of the Standard Webhooks specification and its libraries.
func TestSignatureIsThatOfStandardWebhooks(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := header(target{Key: key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	want := http.Header{
		"Content-Type": {"application/json; charset=utf-8"}, "Webhook-Id": {"msg_p5jXN8AQM9LWM0D4loKWxJek"}, "Webhook-Timestamp": {"1614265330"},
		"Webhook-Signature": {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
	}
	for name := range want {
		if h.Get(name) != want.Get(name) {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want.Get(name))
		}
	}
}

func TestOldKeySignsBesideTheNewOneForADay(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	both := target{Key: []byte("new"), Previous: []byte("old"), PreviousEnd: now.Add(Overlap)}
	for at, want := range map[time.Time]int{now: 2, now.Add(Overlap - time.Second): 2, now.Add(Overlap): 1} {
		if got := len(strings.Fields(header(both, "evt_1", at, nil).Get("Webhook-Signature"))); got != want {
			t.Errorf("after %s: %d signatures, want %d", at.Sub(now), got, want)
		}
	}
	if h := header(target{URL: "https://hooks.example/x"}, "evt_1", now, nil); h.Get("Webhook-Signature") != "" {
		t.Error("a chat room's message is signed without a key")
	}
}

// A Safe may be called anything: in a chat room its name stays a name.
func TestAttackNamesThatAreMarkup(t *testing.T) {
	s := New(Deps{URL: func() string { return "https://pam.example" }})
	e := audit.Entry{
		ID: "evt_1", Type: audit.UserAccessRequestCreated, Time: time.Unix(1_700_000_000, 0), Actor: audit.Party{Type: "user", ID: "usr_1", Name: "eve@example.com"},
		Target:   audit.Party{Type: "access_request", ID: "req_1", Name: "<!channel> <https://evil.example|Open VaultPAM>\n*Approved*"},
		Metadata: map[string]any{"reason": "[press](https://evil.example) " + strings.Repeat("x", 1000)},
	}
	body, err := s.body(Webhook{Settings: Settings{Format: Slack}}, told{Entry: e})
	if err != nil {
		t.Fatal(err)
	}
	var message struct{ Text string }
	if err := json.Unmarshal(body, &message); err != nil {
		t.Fatal(err)
	}
	if strings.Count(message.Text, "<") != 1 || !strings.HasSuffix(message.Text, "<https://pam.example/approvals/req_1|Open VaultPAM>") {
		t.Errorf("a name is markup: %s", message.Text)
	}
	if strings.Contains(message.Text, "\n*Approved*") || len(message.Text) > 1200 {
		t.Errorf("a name leaves its line: %s", message.Text)
	}

	if body, err = s.body(Webhook{Settings: Settings{Format: Teams}}, told{Entry: e}); err != nil {
		t.Fatal(err)
	}
	var card struct {
		Attachments []struct {
			Content struct {
				Body    []struct{ Type string }
				Actions []struct{ URL string }
			}
		}
	}
	if err := json.Unmarshal(body, &card); err != nil || len(card.Attachments) != 1 {
		t.Fatal(err, string(body))
	}
	for _, block := range card.Attachments[0].Content.Body {
		if block.Type != "RichTextBlock" {
			t.Errorf("text stands where markup is read: %s", block.Type)
		}
	}
	if a := card.Attachments[0].Content.Actions; len(a) != 1 || a[0].URL != "https://pam.example/approvals/req_1" {
		t.Errorf("the card leads to %+v", a)
	}
}

func TestWebhookIsNotToldOfItsOwnFailures(t *testing.T) {
	w := Webhook{ID: "whk_1", Settings: Settings{Events: []string{"*"}}}
	for _, c := range []struct {
		t    audit.Type
		id   string
		want bool
	}{
		{audit.WebhookDeliveryFailed, "whk_1", false},
		{audit.WebhookDeliveryFailed, "whk_2", true},
		{audit.WebhookDisabled, "whk_1", false},
		{audit.WebhookCreated, "whk_1", true},
		{audit.SessionStarted, "ses_1", true},
	} {
		if got := w.wants(audit.Entry{Type: c.t, Target: audit.Party{ID: c.id}}); got != c.want {
			t.Errorf("%s about %s: %v", c.t, c.id, got)
		}
	}
}

func TestPatternsChooseWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		pattern string
		t       audit.Type
		want    bool
	}{
		{"SESSION_STARTED", audit.SessionStarted, true},
		{"SESSION_*", audit.SessionStarted, true},
		{"*", audit.SafeCreated, true},
		{"SESSION_", audit.SessionStarted, false},
		{"SAFE_*", audit.SessionStarted, false},
		{"session_*", audit.SessionStarted, false},
	} {
		if got := chooses(c.pattern, c.t); got != c.want {
			t.Errorf("%s chooses %s: %v", c.pattern, c.t, got)
		}
	}
	if known("NOTHING_*") || known("") || !known("USER_*") {
		t.Error("a pattern that chooses nothing is taken, or one that chooses something is not")
	}
}
