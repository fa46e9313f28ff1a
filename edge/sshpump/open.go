package sshpump

import (
	"context"
	"errors"
	"log/slog"

	"golang.org/x/crypto/ssh"

	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/target/sshtarget"
)

// Door opens sessions. *broker.Broker satisfies it.
type Door interface {
	Open(ctx context.Context, actor pam.Actor, want broker.Want) (*broker.Live, error)
}

// Open opens a session through the door and logs in to its target. The session
// is then active, and the caller must close both. ctx bounds the opening and
// nothing after it.
func Open(ctx context.Context, door Door, actor pam.Actor, want broker.Want, log *slog.Logger) (*broker.Live, *ssh.Client, error) {
	live, err := door.Open(ctx, actor, want)
	if err != nil {
		if pam.KindOf(err) == pam.Internal && ctx.Err() == nil {
			log.Error("session could not be opened", "user", actor.User, "error", err)
		}
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(live.Context(), func() { cancel(live.Err()) })()
	target, err := logIn(ctx, live)
	if err == nil {
		if err = live.Activate(ctx); err == nil {
			return live, target, nil
		}
		_ = target.Close()
	}
	if cut := live.Err(); cut != nil {
		err = cut
	}
	log.Info("target did not let the session in", "session", live.Session.ID, "error", err)
	if ferr := live.Fail(err); ferr != nil {
		log.Error("session was not closed cleanly", "session", live.Session.ID, "error", ferr)
	}
	return nil, nil, err
}

// logIn verifies the target and then logs in to it.
func logIn(ctx context.Context, live *broker.Live) (*ssh.Client, error) {
	o := sshtarget.Options{
		HostKeys: live.HostKeys, Username: live.Username,
		Login: func(ctx context.Context) (sshtarget.Credential, error) {
			cred, err := live.Login(ctx)
			return sshtarget.Credential{Username: live.Username, Password: cred.Password, PrivateKey: cred.PrivateKey, Certificate: cred.Certificate}, err
		},
	}
	if live.AcceptFirst {
		o.FirstKey = live.Pin
	}
	target, err := sshtarget.Dial(ctx, live.Target, o)
	if err == nil {
		return target, nil
	}
	if errors.Is(err, sshtarget.ErrHostKey) && len(live.HostKeys) > 0 {
		live.Mismatch(ctx)
	}
	return nil, fromTarget(err)
}

// Terminal is the payload of a pty-req (RFC 4254 section 6.2).
type Terminal struct {
	Term                         string
	Columns, Rows, Width, Height uint32
	Modes                        string
}

// Program is what a client wants to run at the target: the payloads of its
// requests (RFC 4254 section 6).
type Program struct {
	Env     [][]byte // of env requests
	PTY     []byte   // of a pty-req; nil without a terminal
	Kind    string   // shell, exec or subsystem
	Payload []byte   // of the request of that kind
}

// Start opens a channel at the target and starts the program there. The error
// is a Refusal or ErrTargetLost.
func (p Program) Start(target *ssh.Client) (ssh.Channel, <-chan *ssh.Request, error) {
	ch, requests, err := target.OpenChannel("session", nil)
	if err != nil {
		if _, ok := errors.AsType[*ssh.OpenChannelError](err); ok {
			return nil, nil, Refusal("The target does not open another session.")
		}
		return nil, nil, ErrTargetLost
	}
	if err := p.request(ch); err != nil {
		_ = ch.Close()
		go ssh.DiscardRequests(requests) // ends when the target confirms
		return nil, nil, err
	}
	return ch, requests, nil
}

func (p Program) request(ch ssh.Channel) error {
	for _, e := range p.Env {
		if _, err := ch.SendRequest("env", false, e); err != nil {
			return ErrTargetLost
		}
	}
	if p.PTY != nil {
		if ok, err := ch.SendRequest("pty-req", true, p.PTY); err != nil {
			return ErrTargetLost
		} else if !ok {
			return Refusal("The target gives no terminal.")
		}
	}
	if ok, err := ch.SendRequest(p.Kind, true, p.Payload); err != nil {
		return ErrTargetLost
	} else if !ok {
		return Refusal("The target does not start this.")
	}
	return nil
}
