package redistarget

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/wire/resp"
)

// hostile serves one connection that answers each command with the next of the
// answers, and then hangs up; "" is silence.
func hostile(t *testing.T, answers ...string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = ours.Close()
		_ = theirs.Close()
		<-done
	})
	go func() { // ends with its connection, for which the cleanup waits
		defer close(done)
		defer theirs.Close()
		r := resp.NewReader(bufio.NewReader(theirs), resp.Limits{})
		for _, a := range answers {
			v, err := r.Read()
			if err != nil {
				return
			}
			if a == "" {
				_, _ = r.Read()
				return
			}
			if a == "echo" {
				a = "-ERR"
				for _, i := range v.Items {
					a += " " + string(i.Text)
				}
				a += "\r\n"
			}
			if _, err := theirs.Write([]byte(a)); err != nil {
				return
			}
		}
	}()
	return ours
}

// The difference decides whether a rotation believes that a password works.
func TestOnlyAClearNoIsARefusedLogin(t *testing.T) {
	for answer, want := range map[string]error{
		"+OK\r\n": nil,
		"-WRONGPASS invalid username-password pair or user is disabled.\r\n": ErrAuth,
		"-ERR invalid password\r\n":                                                       ErrAuth,
		"-ERR Client sent AUTH, but no password is set\r\n":                               ErrAuth,
		"-ERR AUTH <password> called without any password configured for the default\r\n": ErrAuth,
		"-LOADING Redis is loading the dataset in memory\r\n":                             ErrBroken,
		"-BUSY Redis is busy running a script\r\n":                                        ErrBroken,
		"-ERR max number of clients reached\r\n":                                          ErrBroken,
		"-DENIED Redis is running in protected mode\r\n":                                  ErrBroken,
		"-ERR unknown command 'AUTH'\r\n":                                                 ErrBroken,
		"-\r\n":                                                                           ErrBroken,
		"+QUEUED\r\n":                                                                     ErrBroken,
		"$2\r\nOK\r\n":                                                                    ErrBroken,
		":1\r\n":                                                                          ErrBroken,
		"HTTP/1.1 400 Bad Request\r\n":                                                    ErrBroken,
		"$4294967296\r\n":                                                                 ErrBroken,
		"+" + strings.Repeat("x", 1<<17):                                                  ErrBroken,
		"+O":                                                                              ErrBroken,
		"":                                                                                ErrBroken,
	} {
		o, _ := as("app", "right")
		o.Timeout = 300 * time.Millisecond
		err := Check(t.Context(), hostile(t, answer), o)
		if !errors.Is(err, want) || (want == ErrBroken && errors.Is(err, ErrAuth)) {
			t.Errorf("%.40q: %v, want %v", answer, err, want)
		}
	}
}

func TestEndlessAnswersEnd(t *testing.T) {
	o, _ := as("app", "right")
	ours, theirs := net.Pipe()
	defer theirs.Close()
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		go func() {
			for b := make([]byte, 512); ; {
				if _, err := theirs.Read(b); err != nil {
					return
				}
			}
		}()
		_, _ = theirs.Write([]byte("*65000\r\n"))
		for {
			if _, err := theirs.Write([]byte("+x\r\n" + strings.Repeat("+xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", 100))); err != nil {
				return
			}
		}
	}()
	if err := Check(t.Context(), ours, o); !errors.Is(err, ErrBroken) {
		t.Errorf("%v", err)
	}
	_ = theirs.Close()
	<-done
}

// A server that is asked for a change may repeat what it was sent.
func TestErrorsNeverHoldWhatTheServerSays(t *testing.T) {
	const canary = "canary-51c2"
	o, _ := as("app", canary)
	getuser := "*4\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n$9\r\npasswords\r\n*0\r\n"
	for name, answers := range map[string][]string{
		"at the login":   {"echo"},
		"when asked":     {"+OK\r\n", "echo"},
		"at the change":  {"+OK\r\n", getuser, "echo"},
		"in capitals":    {"+OK\r\n", getuser, "-" + strings.ToUpper(canary) + "\r\n"},
		"when it writes": {"+OK\r\n", getuser, "+OK\r\n", "echo", "echo"},
	} {
		err := SetPassword(t.Context(), hostile(t, answers...), o, "app", secret.FromString(canary), secret.Value{})
		if err == nil || strings.Contains(strings.ToLower(err.Error()), canary) || strings.Contains(err.Error(), hash(secret.FromString(canary))) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "when it writes" && !errors.Is(err, ErrBroken) {
			t.Errorf("a change that could not be taken back: %v", err)
		}
	}
}

func TestAnswersThatAreNoUserAreNotBelieved(t *testing.T) {
	for _, answer := range []string{
		"+OK\r\n", "*0\r\n", "*2\r\n$5\r\nflags\r\n*0\r\n", ":1\r\n",
		"*4\r\n$5\r\nflags\r\n*0\r\n$9\r\npasswords\r\n*1\r\n$6\r\nnopass\r\n",
	} {
		o, _ := as("app", "right")
		err := SetPassword(t.Context(), hostile(t, "+OK\r\n", answer), o, "app", secret.FromString("next"), secret.Value{})
		if !errors.Is(err, ErrBroken) {
			t.Errorf("%q: %v, want %v", answer, err, ErrBroken)
		}
	}
}

func TestCredentialIsWipedAndWhatClosesTheVaultReachesTheCaller(t *testing.T) {
	for answer := range map[string]bool{"+OK\r\n": true, "-WRONGPASS x\r\n": true, "": true} {
		raw := []byte("right")
		o, _ := as("app", "")
		o.Timeout = 200 * time.Millisecond
		o.Login = func(context.Context) (Credential, error) { return Credential{Password: secret.New(raw)}, nil }
		_ = Check(t.Context(), hostile(t, answer), o)
		if string(raw) != "\x00\x00\x00\x00\x00" {
			t.Errorf("%q: the credential is still in memory", answer)
		}
	}
	sealed := errors.New("sealed")
	o, _ := as("app", "")
	o.Login = func(context.Context) (Credential, error) { return Credential{}, sealed }
	if err := Check(t.Context(), hostile(t, "+OK\r\n"), o); !errors.Is(err, sealed) || errors.Is(err, ErrAuth) {
		t.Errorf("%v, want %v", err, sealed)
	}
}
