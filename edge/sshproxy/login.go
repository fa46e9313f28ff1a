package sshproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/edge"
	"vaultpam/edge/sshpump"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/identity"
)

// How long a connection waits for its person, and how often it looks.
const (
	waitElsewhere = 3 * time.Minute
	lookElsewhere = 500 * time.Millisecond
)

// errLogin is every failure of a login, whatever the reason.
var errLogin = errors.New("sshproxy: authentication failed")

// Algorithms of today's OpenSSH without SHA-1, the fastest first.
var (
	ciphers      = []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR}
	keyExchanges = []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521, ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDH14SHA256}
	signatures   = []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}
	macs = []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512}
)

// actorKey is where the permissions of a login hold the pam.Actor.
type actorKey struct{}

// login is the authentication of one connection.
type login struct {
	s    *Server
	ctx  context.Context
	from netip.Addr
	// extend gives the connection so much more time to log in.
	extend func(time.Duration)
}

func (l *login) config() *ssh.ServerConfig {
	c := &ssh.ServerConfig{
		Config:                    ssh.Config{Ciphers: ciphers, KeyExchanges: keyExchanges, MACs: macs},
		PublicKeyAuthAlgorithms:   signatures,
		MaxAuthTries:              maxAuthTries,
		PasswordCallback:          l.password,
		PublicKeyCallback:         l.offered,
		VerifiedPublicKeyCallback: l.proved,
		ServerVersion:             "SSH-2.0-VaultPAM",
	}
	for _, k := range l.s.HostKeys() {
		c.AddHostKey(k)
	}
	return c
}

func permissions(a pam.Actor) *ssh.Permissions {
	return &ssh.Permissions{ExtraData: map[any]any{actorKey{}: a}}
}

func (l *login) password(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	if _, within := l.s.Limiter.Take(edge.LimitLogin, edge.Source(l.from)); !within {
		return nil, errLogin
	}
	// A name that cannot be read costs as much time as a wrong password: the
	// identity service is asked all the same.
	n, _ := parseName(m.User())
	v := secret.New(bytes.Clone(password))
	defer v.Wipe()
	actor, err := l.s.Identity.AuthenticatePassword(l.ctx, n.email, v, l.client())
	if err != nil {
		return nil, l.failed(err)
	}
	return permissions(actor), nil
}

// offered answers whether a key could log in. The client has proved nothing
// yet, so that nothing may come of it: no permissions, no trace.
func (l *login) offered(m ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	n, err := parseName(m.User())
	if err != nil || !l.s.Identity.KnowsKey(l.ctx, n.email, key) {
		return nil, errLogin
	}
	return nil, nil
}

// proved is called with exactly the key that signed, and makes the identity.
func (l *login) proved(m ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
	n, err := parseName(m.User())
	if err != nil {
		return nil, errLogin
	}
	actor, err := l.s.Identity.AuthenticateKey(l.ctx, n.email, key, l.client())
	if err != nil {
		return nil, l.failed(err)
	}
	return permissions(actor), nil
}

func (l *login) client() identity.Client {
	return identity.Client{From: l.from}
}

// factor asks, by keyboard-interactive (RFC 4256), for the second factor of
// somebody who has shown the first.
func (l *login) factor(h identity.Half) error {
	if h.Elsewhere() {
		return &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{KeyboardInteractiveCallback: l.elsewhere(h)}}
	}
	ask := func(_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		answers, err := challenge("", "", []string{"Verification code (or a recovery code): "}, []bool{false})
		if err != nil || len(answers) != 1 || len(answers[0]) > maxCode {
			return nil, errLogin
		}
		if _, within := l.s.Limiter.Take(edge.LimitLogin, edge.Source(l.from)); !within {
			return nil, errLogin
		}
		actor, err := l.s.Identity.AuthenticateFactor(l.ctx, h, answers[0], l.client())
		if err != nil {
			return nil, l.failed(err)
		}
		return permissions(actor), nil
	}
	return &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{KeyboardInteractiveCallback: ask}}
}

// elsewhere shows a link, and waits until the person has confirmed the login in
// the console. The server asks nothing, so the client shows the text and
// answers at once (RFC 4256 section 3.2).
func (l *login) elsewhere(h identity.Half) func(ssh.ConnMetadata, ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	return func(m ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		if _, within := l.s.Limiter.Take(edge.LimitLogin, edge.Source(l.from)); !within {
			return nil, errLogin
		}
		d, err := l.s.Identity.AskElsewhere(l.ctx, h, "SSH", l.client())
		if err != nil {
			return nil, l.failed(err)
		}
		text := fmt.Sprintf("Confirm this connection with your passkey:\n  %s/device?code=%s\nThe code there must be %s. Waiting ...\n", l.s.URL(), d.ShownCode(), d.ShownCode())
		l.extend(waitElsewhere)
		if _, err := challenge("", text, nil, nil); err != nil {
			return nil, errLogin
		}
		ctx, cancel := context.WithTimeout(l.ctx, waitElsewhere)
		defer cancel()
		tick := time.NewTicker(lookElsewhere)
		defer tick.Stop()
		for {
			actor, status, err := l.s.Identity.ConfirmedElsewhere(ctx, h, d, l.client())
			switch {
			case err != nil:
				return nil, l.failed(err)
			case status == identity.DeviceApproved:
				l.extend(l.s.Limits.Grace)
				return permissions(actor), nil
			case status != identity.DevicePending:
				return nil, &ssh.BannerError{Err: errLogin, Message: "vaultpam: The connection was not confirmed.\n"}
			}
			select {
			case <-ctx.Done():
				return nil, errLogin
			case <-tick.C:
			}
		}
	}
}

// failed is what the client hears of a failure. One that is not the client's is
// logged and said: it has nothing to do with who logs in.
func (l *login) failed(err error) error {
	if more, ok := errors.AsType[*identity.FactorNeededError](err); ok {
		return l.factor(more.Half)
	}
	k := pam.KindOf(err)
	if k == pam.EnrolmentNeeded || k == pam.Sealed {
		return &ssh.BannerError{Err: errLogin, Message: "vaultpam: " + sshpump.Sentence(err) + "\n"}
	}
	if k != pam.Internal && k != pam.Unavailable {
		return errLogin
	}
	l.s.Log.Error("login could not be decided", "client", l.from, "error", err)
	return &ssh.BannerError{Err: errLogin, Message: "vaultpam: Nobody can sign in right now. Try again later.\n"}
}
