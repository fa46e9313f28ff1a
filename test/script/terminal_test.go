package script

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	v1 "vaultpam/api/v1"
)

// screen is a browser's terminal.
type screen struct {
	t  testing.TB
	ws *websocket.Conn
	// shown is all the output so far; last the last text message.
	shown string
	last  map[string]any
}

// terminal connects to a launched session from a page of origin. With an
// answer of another status than 101 it returns nil and that status.
func (c *caller) terminal(path, origin string) (*screen, int) {
	c.t.Helper()
	h := http.Header{}
	if origin != "" {
		h.Set("Origin", origin)
	}
	if c.cookie != "" {
		h.Set("Cookie", "__Host-vaultpam="+c.cookie)
	}
	if c.token != "" {
		h.Set("Authorization", "Bearer "+c.token)
	}
	ws, resp, err := websocket.Dial(c.t.Context(), c.base+path, &websocket.DialOptions{HTTPHeader: h, Subprotocols: []string{"vaultpam.v1"}})
	if err != nil {
		if resp == nil {
			c.t.Fatal(err)
		}
		return nil, resp.StatusCode
	}
	ws.SetReadLimit(1 << 20)
	c.t.Cleanup(func() { _ = ws.CloseNow() })
	return &screen{t: c.t, ws: ws}, resp.StatusCode
}

// hello says who connects.
func (s *screen) hello(ticket string) *screen {
	s.t.Helper()
	text, err := json.Marshal(map[string]any{"type": "hello", "ticket": ticket, "cols": 100, "rows": 30})
	must(s.t, err)
	must(s.t, s.ws.Write(s.t.Context(), websocket.MessageText, text))
	return s
}

func (s *screen) enter(line string) {
	s.t.Helper()
	must(s.t, s.ws.Write(s.t.Context(), websocket.MessageBinary, []byte(line+"\r")))
}

// until reads until the condition holds or the WebSocket is closed.
func (s *screen) until(what string, ok func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	for !ok() {
		kind, data, err := s.ws.Read(ctx)
		if err != nil {
			s.t.Fatalf("%s: %v, after %v and %q", what, err, s.last, tail(s.shown, 500))
		}
		if kind == websocket.MessageBinary {
			s.shown += string(data)
			continue
		}
		s.last = nil
		must(s.t, json.Unmarshal(data, &s.last))
	}
}

// told waits for a message of a type.
func (s *screen) told(kind string) map[string]any {
	s.t.Helper()
	s.until(kind, func() bool { return s.last["type"] == kind })
	return s.last
}

func TestBrowserOpensATerminalWithItsTicket(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	demo := owner.safe("Demo")
	launch := read[v1.Launch](owner.call("POST", "/sessions", v1.SessionIn{SafeID: demo.ID}))
	if launch.TerminalURL != "/api/v1/sessions/"+launch.ID+"/terminal" || launch.TerminalTicket == "" || strings.Contains(launch.Command, launch.TerminalTicket) {
		t.Fatalf("%+v", launch)
	}
	owner.call("GET", "/sessions/"+launch.ID+"/terminal", nil).want(http.StatusBadRequest, "BAD_REQUEST")
	s, _ := p.nobody().terminal(launch.TerminalURL, "http://localhost"+p.base[strings.LastIndexByte(p.base, ':'):])
	if ready := s.hello(launch.TerminalTicket).told("ready"); ready["session_id"] != launch.ID || ready["recording_id"] == "" {
		t.Errorf("%v", ready)
	}
	s.enter("echo $((6*7)); exit 5")
	if exit := s.told("exit"); exit["status"] != 5.0 || exit["reason"] != "exit" || !strings.Contains(s.shown, "42") {
		t.Errorf("%v %q", exit, s.shown)
	}
	if _, _, err := s.ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Error(err)
	}
	got := read[v1.Session](owner.call("GET", "/sessions/"+launch.ID, nil))
	if got.Status != "ended" || got.EndReason != "exit" || got.BytesOut != int64(len(s.shown)) {
		t.Errorf("%+v", got)
	}
	v := read[v1.RecordingVerification](owner.call("GET", "/recordings/"+got.RecordingID+"/verify", nil))
	if cast := owner.call("GET", "/recordings/"+got.RecordingID+"/content", nil).want(http.StatusOK); !v.Verified || !strings.Contains(string(cast.body), "42") {
		t.Errorf("%+v", v)
	}
	owner.call("GET", "/sessions/"+launch.ID+"/terminal", nil).want(http.StatusConflict, "CONFLICT")
	if strings.Contains(p.stderr.String(), launch.TerminalTicket) {
		t.Error("the ticket stands in the log")
	}
}

// A page of another site can have the browser connect, with the login's cookie
// and all: the browser says which site it was.
func TestAttackTerminalFromAnotherSite(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	c := p.browser(ownerEmail, ownerPassword)
	launch := read[v1.Launch](c.call("POST", "/sessions", v1.SessionIn{SafeID: p.owner().safe("Demo").ID}))
	for _, origin := range []string{"https://evil.example", "http://localhost", "null", "", p.base + ".evil.example"} {
		if s, status := c.terminal(launch.TerminalURL, origin); s != nil || status != http.StatusForbidden {
			t.Errorf("from %q: %d", origin, status)
		}
	}
	s, _ := c.terminal(launch.TerminalURL, p.base)
	s.hello("").told("ready")
	second, _ := c.terminal(launch.TerminalURL, p.base)
	if m := second.hello(launch.TerminalTicket).told("error"); m["code"] != "CONFLICT" {
		t.Errorf("a session twice: %v", m)
	}
	nobody, _ := p.nobody().terminal(launch.TerminalURL, p.base)
	if m := nobody.hello("").told("error"); m["code"] != "TOKEN_INVALID" {
		t.Errorf("nobody: %v", m)
	}
	// Signing out ends the login, not the session; ending the session does.
	c.call("DELETE", "/auth/cookie", nil).want(http.StatusNoContent)
	s.enter("echo $((6*7))")
	s.until("the session goes on", func() bool { return strings.Contains(s.shown, "42") })
	began := time.Now()
	p.owner().call("POST", "/sessions/"+launch.ID+"/terminate", v1.TerminateIn{Reason: "enough"}).want(http.StatusOK)
	if exit := s.told("exit"); exit["reason"] != "terminated by its user: enough" || time.Since(began) > time.Second {
		t.Errorf("%v after %s", exit, time.Since(began))
	}
}

// Signing out ends a login and nothing else. To revoke a login, a token or a
// key is to say that somebody else may have it.
func TestRevocationCutsWhatWasOpenedWithIt(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	demo := owner.safe("Demo").ID
	open := func(c *caller) (*screen, v1.Launch) {
		launch := read[v1.Launch](c.call("POST", "/sessions", v1.SessionIn{SafeID: demo}))
		s, _ := p.nobody().terminal(launch.TerminalURL, p.base)
		s.hello(launch.TerminalTicket).told("ready")
		return s, launch
	}
	stolen := p.login(ownerEmail, ownerPassword)
	out := p.login(ownerEmail, ownerPassword)
	token := read[v1.PersonalAccessToken](owner.call("POST", "/personal-access-tokens", v1.PersonalAccessTokenIn{Name: "ci", Scopes: []string{"sessions:launch"}, ExpiresInDays: 1}))
	machine := *owner
	machine.token = token.Token

	byStolen, _ := open(stolen)
	byOut, _ := open(out)
	byToken, _ := open(&machine)
	waiting := read[v1.Launch](stolen.call("POST", "/sessions", v1.SessionIn{SafeID: demo}))
	out.call("POST", "/auth/logout", nil).want(http.StatusNoContent)
	for _, l := range read[[]v1.Login](stolen.call("GET", "/me/logins", nil)) {
		if l.Current {
			owner.call("DELETE", "/me/logins/"+l.ID, nil).want(http.StatusNoContent)
		}
	}
	began := time.Now()
	if exit := byStolen.told("exit"); exit["reason"] != "ended: its login was revoked" || time.Since(began) > time.Second {
		t.Errorf("%v after %s", exit, time.Since(began))
	}
	late, _ := p.nobody().terminal(waiting.TerminalURL, p.base)
	if m := late.hello(waiting.TerminalTicket).told("error"); m["code"] != "CONFLICT" {
		t.Errorf("a launch of the revoked login: %v", m)
	}
	owner.call("DELETE", "/personal-access-tokens/"+token.ID, nil).want(http.StatusNoContent)
	if exit := byToken.told("exit"); exit["reason"] != "ended: its token was revoked" {
		t.Errorf("%v", exit)
	}
	byOut.enter("echo $((6*7))")
	byOut.until("a session outlives the login", func() bool { return strings.Contains(byOut.shown, "42") })

	// Whoever chooses a new password says so of all that knew the old one.
	other := p.login(ownerEmail, ownerPassword)
	byOther, _ := open(other)
	mine, _ := open(owner)
	waiting = read[v1.Launch](other.call("POST", "/sessions", v1.SessionIn{SafeID: demo}))
	owner.call("PUT", "/me/password", v1.PasswordIn{CurrentPassword: ownerPassword, NewPassword: "another-horse-battery"}).want(http.StatusNoContent)
	for _, s := range []*screen{byOther, byOut} {
		if exit := s.told("exit"); exit["reason"] != "ended: the password was changed" {
			t.Errorf("%v", exit)
		}
	}
	late, _ = p.nobody().terminal(waiting.TerminalURL, p.base)
	if m := late.hello(waiting.TerminalTicket).told("error"); m["code"] != "CONFLICT" {
		t.Errorf("a launch of another login: %v", m)
	}
	mine.enter("echo $((6*7))")
	mine.until("the login that changed it keeps its session", func() bool { return strings.Contains(mine.shown, "42") })
}

func TestStopTellsTerminals(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	launch := read[v1.Launch](owner.call("POST", "/sessions", v1.SessionIn{SafeID: owner.safe("Demo").ID}))
	s, _ := owner.terminal(launch.TerminalURL, p.base)
	s.hello("").told("ready")
	p.stop()
	if exit := s.told("exit"); exit["reason"] != "server shutdown" {
		t.Errorf("%v", exit)
	}
}
