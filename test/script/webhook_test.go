package script

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// onWebhook asks about a webhook of the founder's organization.
func onWebhook(suffix string, body any) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		all := read[[]v1.Webhook](w.founder.call("GET", "/webhooks", nil))
		if len(all) == 0 {
			all = []v1.Webhook{read[v1.Webhook](w.founder.call("POST", "/webhooks", v1.WebhookIn{URL: "https://siem.example/hook", Events: []string{"SAFE_*"}}))}
		}
		return ask{path: "/webhooks/" + all[0].ID + suffix, body: body}
	}
}

// inbox is the other side of a webhook, as Standard Webhooks describes one.
type inbox struct {
	t      testing.TB
	url    string
	mu     sync.Mutex // guards what follows
	secret string
	away   bool
	events []v1.AuditEvent
	types  []string
	bad    []string
}

func newInbox(t testing.TB) *inbox {
	in := &inbox{t: t}
	s := httptest.NewServer(in)
	t.Cleanup(s.Close)
	in.url = s.URL + "/hook"
	return in
}

func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.away {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(r.Body)
	key, err2 := base64.StdEncoding.DecodeString(strings.TrimPrefix(in.secret, "whsec_"))
	m := hmac.New(sha256.New, key)
	m.Write([]byte(r.Header.Get("Webhook-Id") + "." + r.Header.Get("Webhook-Timestamp") + "."))
	m.Write(body)
	signed := false
	for _, s := range strings.Fields(r.Header.Get("Webhook-Signature")) {
		signed = signed || s == "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil))
	}
	at, err3 := strconv.ParseInt(r.Header.Get("Webhook-Timestamp"), 10, 64)
	var event struct {
		Type      string        `json:"type"`
		Timestamp time.Time     `json:"timestamp"`
		Data      v1.AuditEvent `json:"data"`
	}
	err4 := json.Unmarshal(body, &event)
	if err != nil || err2 != nil || err3 != nil || err4 != nil || !signed || time.Since(time.Unix(at, 0)).Abs() > time.Minute || event.Data.ID != r.Header.Get("Webhook-Id") || event.Type != event.Data.Type {
		in.bad = append(in.bad, r.Header.Get("Webhook-Signature")+" "+string(body))
	}
	in.events, in.types = append(in.events, event.Data), append(in.types, event.Type)
}

// told waits until n events have come, and returns them.
func (in *inbox) told(n int) []v1.AuditEvent {
	in.t.Helper()
	eventually(in.t, 20*time.Second, "the receiver is told", func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		return len(in.events) >= n
	})
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.bad) > 0 {
		in.t.Fatalf("not as Standard Webhooks says: %s", in.bad)
	}
	return append([]v1.AuditEvent(nil), in.events...)
}

func (in *inbox) set(f func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f()
}

func TestWebhookTellsWhatHappens(t *testing.T) {
	w := newWorld(t)
	in := newInbox(t)
	made := read[v1.Webhook](w.founder.call("POST", "/webhooks", v1.WebhookIn{Name: "SIEM", URL: in.url, Events: []string{"SAFE_CREATED", "SAFE_MEMBER_*"}}))
	if !strings.HasPrefix(made.Secret, "whsec_") || made.Status != "active" || made.Format != "standard" {
		t.Fatalf("%+v", made)
	}
	in.set(func() { in.secret = made.Secret })
	if got := read[v1.Webhook](w.founder.call("GET", "/webhooks/"+made.ID, nil)); got.Secret != "" || got.URL != in.url || got.LastDelivery != nil {
		t.Errorf("afterwards %+v", got)
	}
	safe := w.safe()
	got := in.told(1)[0]
	kept := read[v1.AuditEvent](w.founder.call("GET", "/audit-events/"+got.ID, nil))
	if got.Target.ID != safe || got.LeafHash != kept.LeafHash || got.LeafIndex == nil || *got.LeafIndex != *kept.LeafIndex || !got.Time.Equal(kept.Time) {
		t.Errorf("told %+v, on record is %+v", got, kept)
	}

	// A test arrives at once, and nothing is told twice.
	d := read[v1.WebhookDelivery](w.founder.call("POST", "/webhooks/"+made.ID+"/test", nil))
	if d.Status != "sent" || d.HTTPStatus != http.StatusOK || d.EventType != "WEBHOOK_TESTED" {
		t.Errorf("%+v", d)
	}
	read[v1.WebhookDelivery](w.founder.call("POST", "/webhooks/"+made.ID+"/deliveries/"+got.ID+"/redeliver", nil))
	in.told(3)

	// The old key serves beside the new one; then a receiver is away for a moment.
	rotated := read[v1.Webhook](w.founder.call("POST", "/webhooks/"+made.ID+"/rotate-secret", nil))
	if rotated.Secret == made.Secret || !strings.HasPrefix(rotated.Secret, "whsec_") {
		t.Error("the key is no other")
	}
	in.set(func() { in.away = true })
	w.safe()
	eventually(t, 10*time.Second, "it fails", func() bool {
		return read[v1.Webhook](w.founder.call("GET", "/webhooks/"+made.ID, nil)).Status == "failing"
	})
	in.set(func() { in.away = false })
	in.told(4)
	in.set(func() { in.secret = rotated.Secret })
	w.safe()
	in.told(5)
	var rows []v1.WebhookDelivery // kept after the receiver's answer, which it knows of earlier
	eventually(t, 10*time.Second, "all is on record", func() bool {
		rows = read[[]v1.WebhookDelivery](w.founder.call("GET", "/webhooks/"+made.ID+"/deliveries", nil))
		return len(rows) == 4
	})
	if rows[1].Attempts < 2 || rows[1].Status != "sent" {
		t.Errorf("%+v", rows)
	}
}

func TestChatRoomHearsOfAnAccessRequestWithALinkToIt(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var texts []string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Text string }
		_ = json.NewDecoder(r.Body).Decode(&m)
		mu.Lock()
		defer mu.Unlock()
		texts = append(texts, m.Text)
	}))
	t.Cleanup(s.Close)
	made := read[v1.Webhook](w.founder.call("POST", "/webhooks", v1.WebhookIn{URL: s.URL + "/services/hush", Format: "slack", Events: []string{"USER_ACCESS_REQUEST_CREATED"}}))
	if made.Secret != "" || strings.Contains(made.URL, "hush") {
		t.Fatalf("%+v", made)
	}
	safe := w.guarded("single").safe
	req := read[v1.AccessRequest](w.who["operator"].call("POST", "/access-requests", v1.AccessRequestIn{SafeID: safe, Reason: "restart <!here>", DurationSeconds: 600}))
	eventually(t, 20*time.Second, "the room hears of it", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(texts) == 1
	})
	if !strings.Contains(texts[0], "/approvals/"+req.ID+"|") || !strings.Contains(texts[0], "restart &lt;!here&gt;") || !strings.Contains(texts[0], w.who["operator"].email) {
		t.Errorf("it hears %q", texts[0])
	}
}

// An administrator names addresses that lead into the server's own network.
func TestAttackWebhookToTheInside(t *testing.T) {
	w := newWorld(t, "--outbound-allow", "192.0.2.0/24") // not loopback, as --dev has it
	in := newInbox(t)
	w.founder.call("POST", "/webhooks", v1.WebhookIn{URL: in.url, Events: []string{"*"}}).want(http.StatusUnprocessableEntity)
	for _, url := range []string{"https" + strings.TrimPrefix(in.url, "http"), "https://169.254.169.254/latest/meta-data", "https://10.0.0.1/", "https://[::1]:8080/", "https://2130706433/", "https://localhost:1/"} {
		made := read[v1.Webhook](w.founder.call("POST", "/webhooks", v1.WebhookIn{URL: url, Events: []string{"SAFE_CREATED"}}))
		d := read[v1.WebhookDelivery](w.founder.call("POST", "/webhooks/"+made.ID+"/test", nil))
		if d.Status != "failed" || d.HTTPStatus != 0 {
			t.Errorf("%s was asked: %+v", url, d)
		}
	}
	for _, url := range []string{"file:///etc/passwd", "gopher://x/", "https://user:pass@siem.example/", "//siem.example", ""} {
		w.founder.call("POST", "/webhooks", v1.WebhookIn{URL: url, Events: []string{"*"}}).want(http.StatusUnprocessableEntity)
	}
	if len(in.events) != 0 {
		t.Errorf("the inside was told %v", in.types)
	}
}

func TestApproversAreWrittenToUnlessTheOrganizationSaysNo(t *testing.T) {
	w := newWorld(t)
	safe := w.guarded("single").safe
	letters := func() (n int) {
		for _, m := range read[[]v1.Message](w.founder.call("GET", "/org/notifications/messages", nil)) {
			if m.Kind == "access_requested" {
				n++
			}
		}
		return n
	}
	ask := func() string {
		return read[v1.AccessRequest](w.who["operator"].call("POST", "/access-requests", v1.AccessRequestIn{SafeID: safe, Reason: "restart", DurationSeconds: 600})).ID
	}
	if n := read[v1.Notifications](w.founder.call("GET", "/org/notifications", nil)); !n.ApproverEmail || !n.EmailAvailable {
		t.Fatalf("%+v", n)
	}
	first := ask()
	before := letters()
	if before == 0 {
		t.Fatal("nobody was written to")
	}
	w.who["operator"].call("POST", "/access-requests/"+first+"/cancel", nil).want(http.StatusOK)
	if n := read[v1.Notifications](w.founder.call("PATCH", "/org/notifications", v1.NotificationsIn{})); n.ApproverEmail {
		t.Errorf("%+v", n)
	}
	ask()
	if got := letters(); got != before {
		t.Errorf("%d letters, before there were %d", got, before)
	}
}
