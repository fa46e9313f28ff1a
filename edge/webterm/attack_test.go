package webterm_test

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vaultpam/edge/webterm"
	"vaultpam/pam"
	"vaultpam/pam/session"
)

func sessionID(id string) pam.SessionID { return pam.SessionID(id) }

func TestPagesOfOthersDoNotConnect(t *testing.T) {
	w := newWorld(t)
	w.login(w.alice)
	id := w.launch(w.alice)
	for name, h := range map[string]http.Header{
		"another site":        {"Origin": {"https://evil.example"}},
		"the site in a name":  {"Origin": {origin + ".evil.example"}},
		"another scheme":      {"Origin": {"http://pam.example.com"}},
		"another port":        {"Origin": {origin + ":8443"}},
		"a sandboxed page":    {"Origin": {"null"}},
		"no page at all":      {"X-Other": {"1"}},
		"two, one of them us": {"Origin": {"https://evil.example", origin}},
		"this host":           {"Origin": {w.url}},
	} {
		ws, resp, err := w.dial(id, h)
		if err == nil {
			_ = ws.CloseNow()
			t.Errorf("%s: connected", name)
		} else if resp == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, h := range map[string]http.Header{
		"no upgrade":        {"Origin": {origin}},
		"no subprotocol":    {"Origin": {origin}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {base64.StdEncoding.EncodeToString(make([]byte, 16))}},
		"no key":            {"Origin": {origin}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {"vaultpam.v1"}},
		"an ancient client": {"Origin": {origin}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"8"}, "Sec-Websocket-Protocol": {"vaultpam.v1"}, "Sec-Websocket-Key": {base64.StdEncoding.EncodeToString(make([]byte, 16))}},
	} {
		r, err := http.NewRequest("GET", w.url+"/sessions/"+string(id)+"/terminal", nil)
		w.must(err)
		r.Header = h
		resp, err := http.DefaultClient.Do(r)
		w.must(err)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if s := w.onRecord(id); s.Status != session.Pending || s.Node != "" {
		t.Errorf("the launch was touched: %+v", s)
	}
}

func TestOnlyTheUserOfALaunchConnects(t *testing.T) {
	w := newWorld(t)
	id := w.launch(w.alice)
	other := w.launch(w.alice)
	good := w.ticket(w.alice, id)
	stale := w.ticket(w.alice, id)
	hello := func(ticket string) map[string]any {
		return map[string]any{"type": "hello", "ticket": ticket, "cols": 80, "rows": 24}
	}
	for name, c := range map[string]struct {
		login  pam.Actor
		ticket string
		code   string
		ahead  time.Duration
	}{
		"nobody":                            {code: "UNAUTHENTICATED"},
		"a ticket that is none":             {ticket: "vpw_AAAA.BBBB", code: "UNAUTHENTICATED"},
		"a login token":                     {ticket: "vps_AAAA", code: "UNAUTHENTICATED"},
		"a changed ticket":                  {ticket: good[:20] + string(good[20]^1) + good[21:], code: "UNAUTHENTICATED"},
		"a ticket of another session":       {ticket: w.ticket(w.alice, other), code: "UNAUTHENTICATED"},
		"a ticket of somebody else":         {ticket: w.ticket(w.owner, id), code: "NOT_FOUND"},
		"a ticket of another organization":  {ticket: w.ticket(w.guest, id), code: "NOT_FOUND"},
		"a login of somebody else":          {login: w.owner, code: "NOT_FOUND"},
		"a login of another organization":   {login: w.guest, code: "NOT_FOUND"},
		"alice's ticket in another's login": {login: w.owner, ticket: w.ticket(w.alice, id), code: "UNAUTHENTICATED"},
		"a ticket that is older than 60 s":  {ticket: stale, code: "UNAUTHENTICATED", ahead: 61 * time.Second},
		"a ticket longer than any that is":  {ticket: "vpw_" + strings.Repeat("A", 7000), code: "UNAUTHENTICATED"},
		"a ticket with a tail":              {ticket: w.ticket(w.alice, id) + ".", code: "UNAUTHENTICATED"},
		"a ticket with another's signature": {ticket: good[:strings.IndexByte(good, '.')] + stale[strings.IndexByte(stale, '.'):], code: "UNAUTHENTICATED"},
	} {
		w.login(c.login)
		w.clock.ahead.Add(int64(c.ahead))
		p := w.connect(id, hello(c.ticket))
		if m := p.wait("error"); m.Code != c.code {
			t.Errorf("%s: %+v", name, m)
		}
		if code := p.code(); code != websocket.StatusPolicyViolation {
			t.Errorf("%s: closed with %d", name, code)
		}
		w.clock.ahead.Add(-int64(c.ahead))
	}
	if s := w.onRecord(id); s.Status != session.Pending || s.Node != "" {
		t.Fatalf("the launch was touched: %+v", s)
	}
	w.login(pam.Actor{})
	p := w.connect(id, hello(good))
	p.wait("ready")
	twice := w.connect(id, hello(good))
	if m := twice.wait("error"); m.Code != "UNAUTHENTICATED" {
		t.Errorf("a ticket twice: %+v", m)
	}
	again := w.connect(id, hello(w.ticket(w.alice, id)))
	if m := again.wait("error"); m.Code != "CONFLICT" || m.Message != "This session has a connection already: launch a new one." {
		t.Errorf("a session twice: %+v", m)
	}
	p.typeIn("echo $((40+2))\r")
	p.shows("42")

	// A login serves without a ticket.
	w.login(w.alice)
	q := w.connect(other, map[string]any{"type": "hello", "cols": 80, "rows": 24})
	q.wait("ready")
}

func TestTicketIsUsedUpEvenByAnAttemptThatFails(t *testing.T) {
	w := newWorld(t)
	id := w.launch(w.alice)
	ticket := w.ticket(w.alice, id)
	_, err := w.safes.Lock(t.Context(), w.owner, w.safe.ID)
	w.must(err)
	for _, want := range []string{"LOCKED", "UNAUTHENTICATED"} {
		p := w.connect(id, map[string]any{"type": "hello", "ticket": ticket, "cols": 80, "rows": 24})
		if m := p.wait("error"); m.Code != want {
			t.Errorf("%+v, want %s", m, want)
		}
	}
}

func TestTicketOfSomebodySuspendedIsWorthNothing(t *testing.T) {
	w := newWorld(t)
	id := w.launch(w.alice)
	ticket := w.ticket(w.alice, id)
	_, err := w.orgs.Suspend(t.Context(), w.owner, w.alice.User)
	w.must(err)
	p := w.connect(id, map[string]any{"type": "hello", "ticket": ticket, "cols": 80, "rows": 24})
	if m := p.wait("error"); m.Code != "ORGANIZATION_DENIED" {
		t.Errorf("%+v", m)
	}
}

func TestClientThatBreaksTheProtocolIsTold(t *testing.T) {
	w := newWorld(t)
	text := func(s string) func(p *page) {
		return func(p *page) { _ = p.ws.Write(t.Context(), websocket.MessageText, []byte(s)) }
	}
	for name, c := range map[string]struct {
		first bool // instead of hello
		send  func(p *page)
		says  string
	}{
		"data first":           {true, func(p *page) { p.typeIn("ls\r") }, "must be hello"},
		"resize first":         {true, text(`{"type":"resize","cols":80,"rows":24}`), "must be hello"},
		"hello without a size": {true, text(`{"type":"hello"}`), "from 1 to 1000"},
		"no JSON":              {true, text(`hello`), "not a JSON object"},
		"TERM with a command":  {true, text(`{"type":"hello","cols":80,"rows":24,"term":"$(id)"}`), "name of the terminal"},
		"hello twice":          {false, text(`{"type":"hello","cols":80,"rows":24}`), "hello comes once"},
		"an unknown type":      {false, text(`{"type":"exec"}`), "no message of this type"},
		"an unknown field":     {false, text(`{"type":"ack","bytes":1,"user":"root"}`), "not a JSON object"},
		"a field of another":   {false, text(`{"type":"ack","bytes":1,"cols":3}`), "a field that its type"},
		"two objects":          {false, text(`{"type":"ack","bytes":0}{}`), "more than one"},
		"a large text":         {false, text(strings.Repeat(" ", 9000)), "longer than 8192"},
		"a huge size":          {false, text(`{"type":"resize","cols":100000,"rows":24}`), "from 1 to 1000"},
		"acks from the future": {false, text(`{"type":"ack","bytes":9007199254740991}`), "not sent"},
		"too much input": {false, func(p *page) {
			// More than sshd (2 MiB), the broker and the window hold together.
			for range 64 {
				if _, told := p.find("error"); told {
					return
				}
				p.typeIn(strings.Repeat("x", 64<<10))
			}
		}, "More input"},
	} {
		t.Run(name, func(t *testing.T) {
			id := w.launch(w.alice)
			p := w.connect(id, nil)
			p.t = t
			if !c.first {
				p.say(map[string]any{"type": "hello", "ticket": w.ticket(w.alice, id), "cols": 80, "rows": 24})
				p.wait("ready")
				if name == "too much input" { // which the target does not take
					// Before it is raw, the line discipline swallows everything.
					p.typeIn("stty raw -echo; echo raw$((40+2)); sleep 60\r")
					p.shows("raw42")
				}
			}
			c.send(p)
			m := p.wait("error")
			if m.Code != "BAD_REQUEST" || !strings.Contains(m.Message, c.says) {
				t.Errorf("%+v", m)
			}
			if code := p.code(); code != websocket.StatusProtocolError {
				t.Errorf("closed with %d", code)
			}
			if c.first {
				return
			}
			if s := w.over(id); s.EndReason != "client broke the protocol" {
				t.Errorf("on record: %+v", s)
			}
		})
	}
}

func TestHugeMessageEndsTheSession(t *testing.T) {
	w := newWorld(t)
	p, ready := w.open(w.alice)
	p.typeIn(strings.Repeat("x", 70_000))
	if code := p.code(); code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %d", code)
	}
	if s := w.over(sessionID(ready.SessionID)); s.EndReason != "client broke the protocol" || s.BytesIn != 0 {
		t.Errorf("on record: %+v", s)
	}
}

// raw is a WebSocket by hand, for what no library does.
type raw struct {
	net.Conn
	in *bufio.Reader
}

func (w *world) raw(id pam.SessionID) raw {
	w.t.Helper()
	c := must[net.Conn](w.t)(net.Dial("tcp", strings.TrimPrefix(w.url, "http://")))
	w.t.Cleanup(func() { _ = c.Close() })
	w.must(c.(*net.TCPConn).SetReadBuffer(8 << 10))
	fmt.Fprintf(c, "GET /sessions/%s/terminal HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: vaultpam.v1\r\nSec-WebSocket-Key: %s\r\n\r\n",
		id, origin, base64.StdEncoding.EncodeToString(make([]byte, 16)))
	x := raw{c, bufio.NewReader(c)}
	resp, err := http.ReadResponse(x.in, nil)
	w.must(err)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatal(resp.Status)
	}
	return x
}

// frame writes one masked frame (RFC 6455 section 5.2).
func (x raw) frame(opcode byte, data string) {
	head := []byte{0x80 | opcode, 0x80 | 126, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(len(data)))
	mask := make([]byte, 4)
	_, _ = rand.Read(mask)
	body := []byte(data)
	for i := range body {
		body[i] ^= mask[i%4]
	}
	_, _ = x.Write(append(append(head, mask...), body...))
}

var impatient = webterm.Limits{Hello: time.Second, Write: time.Second, KeepAlive: 500 * time.Millisecond, Window: 64 << 20}

func TestClientThatDoesNotReadIsCutAndNobodyWaits(t *testing.T) {
	w := newWorld(t, impatient)
	id := w.launch(w.alice)
	x := w.raw(id)
	x.frame(1, fmt.Sprintf(`{"type":"hello","ticket":%q,"cols":80,"rows":24}`, w.ticket(w.alice, id)))
	for seen := ""; !strings.Contains(seen, `"input_window"`); {
		b := make([]byte, 256)
		n, err := x.in.Read(b)
		w.must(err)
		seen += string(b[:n])
	}
	x.frame(2, "yes\r")
	p, _ := w.open(w.alice)
	p.typeIn("echo $((40+2))\r")
	p.shows("42")
	if s := w.over(id); s.EndReason != "client disconnected" {
		t.Errorf("%+v", s)
	}
	p.typeIn("exit 7\r")
	if exit := p.wait("exit"); exit.Status == nil || *exit.Status != 7 {
		t.Errorf("%+v", exit)
	}
}

func TestClientThatIsSilentOrGoneIsCut(t *testing.T) {
	w := newWorld(t, impatient)
	id := w.launch(w.alice)
	mute := w.raw(id) // says nothing at all
	_ = mute.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, mute.in); err != nil {
		t.Errorf("whoever does not say hello stays: %v", err)
	}
	deaf := w.raw(id) // answers no ping
	deaf.frame(1, fmt.Sprintf(`{"type":"hello","ticket":%q,"cols":80,"rows":24}`, w.ticket(w.alice, id)))
	if s := w.over(id); s.EndReason != "client disconnected" {
		t.Errorf("%+v", s)
	}
}

// Tiny messages must not cost more than what they carry.
func TestManyTinyMessagesAreTakenInOrder(t *testing.T) {
	w := newWorld(t)
	p, _ := w.open(w.alice)
	// Until the shell has run the line, the terminal makes no line ends of what
	// is typed.
	p.typeIn("stty -echo; printf 'be%s\\n' gun; md5sum\r")
	p.shows("begun")
	for i := range 20_000 {
		c := "x"
		if i%100 == 99 {
			c = "\r"
		}
		p.typeIn(c)
	}
	p.typeIn("\x04")
	p.shows("710327fdb442a2c6725337c7ab790e4c") // md5 of 200 lines of 99 x
}
