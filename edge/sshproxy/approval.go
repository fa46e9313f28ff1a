package sshproxy

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"vaultpam/edge/sshpump"
	"vaultpam/pam"
	"vaultpam/pam/broker"
)

// Approvals is how somebody at a terminal asks for an approval, and waits for
// it. The server adapts the requests.
type Approvals interface {
	// Find returns what the actor has asked for and nobody has decided on yet;
	// NotFound without such a request.
	Find(ctx context.Context, actor pam.Actor, want broker.Want) (Asked, error)
	// Ask makes a request.
	Ask(ctx context.Context, actor pam.Actor, want broker.Want, reason string) (Asked, error)
	// Outcome says what came of a request: nil for an approval, an Error with a
	// sentence for a refusal. waiting is true while nobody has decided.
	Outcome(ctx context.Context, a Asked) (waiting bool, err error)
}

// Asked is a request that is waited for.
type Asked struct {
	Org  pam.OrgID
	ID   pam.RequestID
	Safe string // its name
}

const (
	lookEvery  = 250 * time.Millisecond
	waitAtMost = time.Hour
	maxReason  = 256 // runes; as long as a session's
)

// await asks for the approval that is missing, if nobody has yet, and returns
// nil once it is there. The person may stop waiting with Ctrl-C; the request
// stays.
func (x *channel) await(want broker.Want) error {
	ctx, cancel := context.WithTimeoutCause(x.ctx, waitAtMost, sshpump.Refusal("Nobody has decided yet. Your request stays: connect again later."))
	defer cancel()
	approvals := x.c.s.Approvals
	asked, err := approvals.Find(ctx, x.c.actor, want)
	if pam.Is(err, pam.NotFound) {
		x.say(x.out, "This safe needs an approval. Why do you need access? (Ctrl-C leaves)")
		var reason string
		if reason, err = x.keys.line(ctx, x.out); err != nil {
			return err
		}
		asked, err = approvals.Ask(ctx, x.c.actor, want, reason)
	}
	if err != nil {
		return err
	}
	x.say(x.out, fmt.Sprintf("waiting for approval of %s (%s). Ctrl-C stops waiting; the request stays.", sshpump.Clean(asked.Safe), asked.ID))
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		waiting, err := approvals.Outcome(ctx, asked)
		if err != nil {
			return err
		}
		if !waiting {
			x.say(x.out, "approved")
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case k, ok := <-x.keys.bytes:
			if !ok || containsInterrupt(k) {
				return errLeft
			}
		case <-tick.C:
		}
	}
}

// errLeft says that somebody no longer waits.
var errLeft = sshpump.Refusal("You have stopped waiting. A request that was made stays: connect again once it is approved.")

const (
	interrupt = 0x03
	endOfText = 0x04
)

func containsInterrupt(p []byte) bool {
	for _, b := range p {
		if b == interrupt || b == endOfText {
			return true
		}
	}
	return false
}

// keys is what somebody types before their session begins, and from then on.
type keys struct {
	bytes chan []byte // closed at the end
	rest  []byte
}

// newKeys reads from r until its end.
func newKeys(r io.Reader) *keys {
	k := &keys{bytes: make(chan []byte)}
	go func() { // ends with the channel, whose pump takes what is left
		defer close(k.bytes)
		for {
			p := make([]byte, 32<<10)
			n, err := r.Read(p)
			if n > 0 {
				k.bytes <- p[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return k
}

// Read is for the pump, once the session has begun.
func (k *keys) Read(p []byte) (int, error) {
	if len(k.rest) == 0 {
		next, ok := <-k.bytes
		if !ok {
			return 0, io.EOF
		}
		k.rest = next
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

// drain takes what still comes, so that the reader ends.
func (k *keys) drain(done *sync.WaitGroup) {
	done.Go(func() {
		for range k.bytes {
		}
	})
}

// line reads a line and shows it as it is typed. An empty one is asked for
// again.
func (k *keys) line(ctx context.Context, show io.Writer) (string, error) {
	var text []byte
	for {
		var in []byte
		var ok bool
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case in, ok = <-k.bytes:
			if !ok {
				return "", errLeft
			}
		}
		for _, b := range in {
			switch {
			case b == interrupt || b == endOfText:
				return "", errLeft
			case b == '\r' || b == '\n':
				if reason := sshpump.Clean(string(text)); reason != "" {
					_, _ = io.WriteString(show, "\r\n")
					return reason, nil
				}
			case b == 0x7f || b == 0x08:
				if len(text) > 0 {
					_, size := utf8.DecodeLastRune(text)
					text = text[:len(text)-size]
					_, _ = io.WriteString(show, "\b \b")
				}
			case b >= 0x20 && utf8.RuneCount(text) < maxReason:
				text = append(text, b)
				_, _ = show.Write([]byte{b})
			}
		}
	}
}
