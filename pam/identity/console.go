package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// The console's logins. A browser sends their token by itself, so they differ
// from those that a program carries: they serve by cookie alone, they end when
// nobody uses them, and what changes something needs a second token, which
// only a page of ours can know.

const (
	defaultConsoleTTL  = 12 * time.Hour
	defaultConsoleIdle = 30 * time.Minute
)

// LoginConsole is Login for the console: its token serves by cookie alone. A
// password that must be changed is a *PasswordChangeError all the same, with a
// token to be carried as bearer.
func (s *Service) LoginConsole(ctx context.Context, email string, password secret.Value, c Client) (LoginResult, error) {
	return s.login(ctx, email, password, c, Console, "console password")
}

// AuthenticateConsole is Authenticate for the token of a cookie. It is
// Unauthenticated for every token but a console's, and for one whose person
// has no place left to be.
func (s *Service) AuthenticateConsole(ctx context.Context, token string, org pam.OrgID, c Client) (pam.Actor, error) {
	h, err := s.consoleHolder(ctx, token)
	if err != nil {
		return pam.Actor{}, err
	}
	if !c.Background {
		now := s.clock.Now()
		s.use(func(u *Used) { u.Logins[h.Login.ID], s.seen[h.Login.ID] = now, now })
	}
	return s.entering(h, org, c)
}

// ConsoleLogin returns the login that a cookie's token stands for, and how
// long it may go unused.
func (s *Service) ConsoleLogin(ctx context.Context, token string) (Login, time.Duration, error) {
	h, err := s.consoleHolder(ctx, token)
	if err != nil {
		return Login{}, 0, err
	}
	return *h.Login, s.console.idle, nil
}

func (s *Service) consoleHolder(ctx context.Context, token string) (Holder, error) {
	h, err := s.holder(ctx, token)
	if err != nil {
		return Holder{}, err
	}
	if h.Login == nil || h.Login.Purpose != Console || !admitted(h.User, h.Places) {
		return Holder{}, unauthenticated()
	}
	return h, nil
}

// CSRFToken is what a page sends beside the cookie of a login to show that it
// is ours. It follows from the login's token, is the same for its whole life,
// and does not give the token away.
func CSRFToken(token string) string {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte("vaultpam console csrf v1"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// ValidCSRF compares in constant time.
func ValidCSRF(token, csrf string) bool {
	return hmac.Equal([]byte(CSRFToken(token)), []byte(csrf))
}

// idle says whether a login of the console has gone unused for too long. Its
// uses are in memory, and in the store at most a minute later: so a request
// needs no write, another node knows of them, and a process that dies forgets
// a minute at most.
func (s *Service) idle(l Login, now time.Time) bool {
	if l.Purpose != Console {
		return false
	}
	s.mu.Lock()
	seen := s.seen[l.ID]
	s.mu.Unlock()
	if seen.Before(l.UsedAt) {
		seen = l.UsedAt
	}
	return now.Sub(seen) >= s.console.idle
}

// forgetIdle drops what has no bearing any more. The caller holds mu.
func (s *Service) forgetIdle() {
	now := s.clock.Now()
	for id, at := range s.seen {
		if now.Sub(at) >= s.console.idle {
			delete(s.seen, id)
		}
	}
}
