package sshproxy_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/edge"
	"vaultpam/edge/sshproxy"
	"vaultpam/pam/safe"
)

// dial connects with Go's client, which says what a native client never would.
func (w *world) dial(user string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	return ssh.Dial("tcp", w.addr, &ssh.ClientConfig{User: user, Auth: auth, HostKeyCallback: ssh.FixedHostKey(w.hostKey), Timeout: 5 * time.Second})
}

// borrowed shows one key and signs with another.
type borrowed struct {
	ssh.Signer
	shown ssh.PublicKey
}

func (b borrowed) PublicKey() ssh.PublicKey { return b.shown }

// Mallory knows alice's public key, as everybody may, and has a key of her own
// that is registered for her. She offers alice's and signs with her own, or
// offers alice's first and then logs in with her own.
func TestIdentityIsTheKeyThatSignedNotTheKeyThatWasOffered(t *testing.T) {
	w := newWorld(t)
	_, alice := w.newKey(&w.alice)
	_, mallory := w.newKey(&w.owner)
	if _, err := w.dial("alice@example.com+web", ssh.PublicKeys(borrowed{mallory, alice.PublicKey()})); err == nil {
		t.Error("a signature by another key was accepted")
	}
	if _, err := w.dial("alice@example.com+web", ssh.PublicKeys(mallory)); err == nil {
		t.Error("another user's key was accepted")
	}
	c, err := w.dial("owner@example.com+web", ssh.PublicKeys(alice, mallory))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	w.must(err)
	if out, err := s.Output("echo in"); err != nil || string(out) != "in\n" {
		t.Fatalf("%q %v", out, err)
	}
	if got := w.last().UserID; got != w.owner.User {
		t.Errorf("the session is %s's", got)
	}
}

func TestNothingIsForwarded(t *testing.T) {
	w := newWorld(t)
	c, err := w.dial("alice@example.com+web", ssh.Password(password))
	w.must(err)
	defer c.Close()
	for _, kind := range []string{"direct-tcpip", "forwarded-tcpip", "direct-streamlocal@openssh.com", "auth-agent@openssh.com", "x11", "tun@openssh.com", "no such"} {
		if _, _, err := c.OpenChannel(kind, nil); err == nil {
			t.Errorf("a channel of type %s was opened", kind)
		}
	}
	for _, kind := range []string{"tcpip-forward", "streamlocal-forward@openssh.com", "no such"} {
		if ok, _, err := c.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("request %s: %v %v", kind, ok, err)
		}
	}
	ch, reqs, err := c.OpenChannel("session", nil)
	w.must(err)
	go ssh.DiscardRequests(reqs)
	for _, kind := range []string{"auth-agent-req@openssh.com", "x11-req", "no such", "signal", "window-change"} {
		if ok, err := ch.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("channel request %s: %v %v", kind, ok, err)
		}
	}
	if ok, _ := ch.SendRequest("exec", true, ssh.Marshal(struct{ C string }{strings.Repeat("x", 200<<10)})); ok {
		t.Error("a command of 200 KiB was accepted")
	}
}

func TestWhoNeverFinishesTheHandshakeIsPutOutAndShutsNobodyOut(t *testing.T) {
	w := newWorld(t, sshproxy.Limits{Strangers: 5, PerSource: 5, Grace: 2 * time.Second})
	var slow []net.Conn
	for range 30 {
		c, err := net.Dial("tcp", w.addr)
		w.must(err)
		defer c.Close()
		slow = append(slow, c)
	}
	began := time.Now()
	c, err := w.dial("alice@example.com+web", ssh.Password(password))
	if err != nil {
		t.Fatalf("a user was shut out: %v", err)
	}
	defer c.Close()
	if took := time.Since(began); took > time.Second {
		t.Errorf("the login took %s", took)
	}
	for _, s := range slow {
		_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, s); err != nil && !errors.Is(err, net.ErrClosed) && strings.Contains(err.Error(), "timeout") {
			t.Fatal("a stranger stays beyond the time for a login")
		}
	}
	if _, err := c.NewSession(); err != nil {
		t.Errorf("the user was put out: %v", err)
	}
}

// A proxy that is not trusted may say what it likes, and so may a client.
func TestProxyHeaderIsBelievedOnlyFromTrustedProxies(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		var proxies edge.Proxies
		if trusted {
			proxies = edge.Proxies{netip.MustParsePrefix("127.0.0.0/8")}
		}
		w := newWorldBehind(t, proxies)
		raw, err := net.Dial("tcp", w.addr)
		w.must(err)
		_, _ = io.WriteString(raw, "PROXY TCP4 192.0.2.7 192.0.2.8 1000 22\r\n")
		_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
		sc, channels, requests, err := ssh.NewClientConn(raw, w.addr, &ssh.ClientConfig{
			User: "alice@example.com+web", Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.FixedHostKey(w.hostKey),
		})
		if !trusted {
			// x/crypto takes lines before the version for a greeting, as RFC
			// 4253 section 4.2 has it for clients: the header says nothing.
			if err == nil {
				c := ssh.NewClient(sc, channels, requests)
				if s, err := c.NewSession(); err == nil {
					_ = s.Run("true")
				}
				_ = c.Close()
				if ip := w.over().ClientIP; ip != "127.0.0.1" {
					t.Errorf("an untrusted header was believed: %s", ip)
				}
			}
			continue
		}
		w.must(err)
		c := ssh.NewClient(sc, channels, requests)
		s, err := c.NewSession()
		w.must(err)
		w.must(s.Run("true"))
		_ = c.Close()
		if ip := w.over().ClientIP; ip != "192.0.2.7" {
			t.Errorf("the session came from %s", ip)
		}
	}
}

func TestGarbageAndOversizedPacketsEndTheConnectionAlone(t *testing.T) {
	w := newWorld(t, sshproxy.Limits{Grace: time.Second})
	noise := make([]byte, 4096)
	_, _ = rand.Read(noise)
	for _, first := range [][]byte{
		[]byte(strings.Repeat("A", 1<<20)), []byte("SSH-2.0-x\r\n\xff\xff\xff\xff"), append([]byte("SSH-2.0-x\r\n"), noise...), []byte("GET / HTTP/1.1\r\n\r\n"), noise,
	} {
		c, err := net.Dial("tcp", w.addr)
		w.must(err)
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = c.Write(first)
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%.20q keeps the connection", first)
		}
		_ = c.Close()
	}
	if _, err := w.dial(strings.Repeat("a", 4000)+"@b", ssh.Password(strings.Repeat("p", 100<<10))); err == nil {
		t.Error("an oversized login worked")
	}
	if r := w.run(nil, "alice@example.com+web", "echo in"); r.code != 0 {
		t.Errorf("after that: %+v", r)
	}
}

func TestTerminalPassesSizesAndUnicode(t *testing.T) {
	w := newWorld(t)
	c, err := w.dial("alice@example.com+web", ssh.Password(password))
	w.must(err)
	defer c.Close()
	s, err := c.NewSession()
	w.must(err)
	out := &lines{b: make(chan []byte, 1)}
	out.b <- nil
	in, err := s.StdinPipe()
	w.must(err)
	s.Stdout = out
	w.must(s.RequestPty("xterm-256color", 30, 100, ssh.TerminalModes{ssh.ECHO: 0}))
	w.must(s.Shell())
	say := func(line, want string) {
		t.Helper()
		_, err := fmt.Fprintln(in, line)
		w.must(err)
		eventually(t, 5*time.Second, want, func() bool { return strings.Contains(out.String(), want) })
	}
	say("stty size; echo TERM=$TERM", "30 100")
	say("echo $((6*7))-żółw-日本", "42-żółw-日本")
	w.must(s.WindowChange(50, 132))
	eventually(t, 5*time.Second, "the new size", func() bool {
		_, _ = fmt.Fprintln(in, "stty size")
		return strings.Contains(out.String(), "50 132")
	})
	_, _ = fmt.Fprintln(in, "exit 3")
	exit, ok := errors.AsType[*ssh.ExitError](s.Wait())
	if !ok || exit.ExitStatus() != 3 {
		t.Errorf("exit: %v", exit)
	}
	if !strings.Contains(out.String(), "TERM=xterm-256color") {
		t.Errorf("%q", out)
	}
}

func TestSignalsReachTheProgram(t *testing.T) {
	w := newWorld(t)
	c, err := w.dial("alice@example.com+web", ssh.Password(password))
	w.must(err)
	defer c.Close()
	s, err := c.NewSession()
	w.must(err)
	out := &lines{b: make(chan []byte, 1)}
	out.b <- nil
	s.Stdout = out
	w.must(s.Start("trap 'echo caught; exit 9' USR1; echo ready; while :; do sleep 0.05; done"))
	eventually(t, 5*time.Second, "ready", func() bool { return strings.Contains(out.String(), "ready") })
	w.must(s.Signal(ssh.SIGUSR1))
	exit, ok := errors.AsType[*ssh.ExitError](s.Wait())
	if !ok || exit.ExitStatus() != 9 || !strings.Contains(out.String(), "caught") {
		t.Errorf("%v %q", exit, out)
	}
}

func TestFilesAreRefusedWhereTheSafeSaysSo(t *testing.T) {
	w := newWorld(t)
	big := strings.Repeat("x", 200<<10)
	sftp := []string{"-s", "sftp"}
	if r := w.run(strings.NewReader(""), "alice@example.com+web", sftp...); r.code != 0 {
		t.Errorf("sftp where files are allowed: %+v", r)
	}
	if r := w.run(strings.NewReader(big), "alice@example.com+web", "wc -c"); r.code != 0 || strings.TrimSpace(r.out) != fmt.Sprint(len(big)) {
		t.Errorf("input where files are allowed: %+v", r)
	}
	w.change(func(s *safe.Settings) { s.FileTransfer = safe.Blocked })
	if r := w.run(strings.NewReader(""), "alice@example.com+web", sftp...); r.code != 255 || !strings.Contains(r.err, "does not allow file transfer") {
		t.Errorf("sftp: %+v", r)
	}
	if r := w.run(strings.NewReader(""), "alice@example.com+web", "/usr/bin/scp -t /tmp"); r.code != 255 || !strings.Contains(r.err, "does not allow file transfer") {
		t.Errorf("scp: %+v", r)
	}
	if r := w.run(strings.NewReader(big), "alice@example.com+web", "cat > stolen"); r.code != 255 || !strings.Contains(r.err, "64 KiB") {
		t.Errorf("input beyond the limit: %+v", r)
	}
	if info, err := os.Stat(filepath.Join(w.sshd.Home, "stolen")); err == nil && info.Size() > 64<<10 {
		t.Errorf("%d bytes arrived", info.Size())
	}
	if r := w.run(strings.NewReader("small"), "alice@example.com+web", "cat"); r.code != 0 || r.out != "small" {
		t.Errorf("a little input: %+v", r)
	}
}

func TestSeveralSessionsShareOneConnection(t *testing.T) {
	w := newWorld(t)
	c, err := w.dial("alice@example.com+web", ssh.Password(password))
	w.must(err)
	defer c.Close()
	results := make(chan string, 8)
	for i := range 8 {
		go func() {
			s, err := c.NewSession()
			if err != nil {
				results <- err.Error()
				return
			}
			out, err := s.Output(fmt.Sprintf("echo %d", i))
			results <- fmt.Sprint(strings.TrimSpace(string(out)), err)
		}()
	}
	seen := map[string]bool{}
	for range 8 {
		seen[<-results] = true
	}
	if len(seen) != 8 || !seen["0<nil>"] || !seen["7<nil>"] {
		t.Errorf("%v", seen)
	}
	first := w.last().ID
	_ = c.Close()
	if s := w.over(); s.ID != first || s.EndReason != "exit" {
		t.Errorf("on record: %+v", s)
	}
}
