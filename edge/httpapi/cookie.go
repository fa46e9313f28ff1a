package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/identity"
)

// cookieName carries the console's login. The prefix makes browsers refuse it
// from other hosts and from pages without encryption (RFC 6265bis section
// 4.1.3.2), so that nobody else's login can be planted.
const cookieName = "__Host-vaultpam"

const cookieAttributes = "; Path=/; Secure; HttpOnly; SameSite=Strict"

// cookieToken is the login's token; "" without one, and for two of them:
// then one was planted.
func (a *API) cookieToken(r *http.Request) string {
	found := r.CookiesNamed(cookieName)
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// cookieLogin finds out who asks, for a request that carries a cookie and no
// Authorization. What the browser adds by itself proves only who sits there,
// so whatever changes something must show that a page of ours asks for it.
func (a *API) cookieLogin(r *http.Request, c *call, rt route) error {
	token := a.cookieToken(r)
	if token == "" {
		return &pam.Error{Kind: pam.Unauthenticated, Op: "read cookie"}
	}
	client := clientOf(c)
	client.Background, client.Personal = r.Header.Get("X-Background") != "", rt.access < member
	if err := a.sameOrigin(r); err != nil {
		return err
	}
	actor, err := a.Identity.AuthenticateConsole(r.Context(), token, wantedOrg(r, rt), client)
	if err == nil && !reads(r) && !identity.ValidCSRF(token, r.Header.Get("X-CSRF-Token")) {
		err = pam.Errorf(pam.Denied, "check CSRF token", "The X-CSRF-Token of this login is missing or wrong.")
	}
	if err == nil {
		c.token, c.console = token, true
	}
	return entered(c, rt, actor, err)
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// sameOrigin refuses a request of which the browser says that a page of
// another origin made it. It is extra: the boundary is the CSRF token. What an
// address bar asks for comes from nowhere, and may read.
func (a *API) sameOrigin(r *http.Request) error {
	foreign := pam.Errorf(pam.Denied, "check origin", "This request was made by a page of another site.")
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case site == "", site == "same-origin", site == "none" && reads(r):
	default:
		return foreign
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return nil
	}
	origin, err := url.Parse(origins[0])
	if err != nil || len(origins) > 1 || origin.Host == "" {
		return foreign
	}
	public, err := url.Parse(a.PublicURL)
	if strings.EqualFold(origin.Host, r.Host) || err == nil && strings.EqualFold(origin.Host, public.Host) && origin.Scheme == public.Scheme {
		return nil
	}
	return foreign
}

// cookied is an answer that sets or clears the cookie.
type cookied[T any] struct {
	SetCookie string `header:"Set-Cookie" doc:"The login; HttpOnly"`
	Body      T
}

func consoleOf(token string, l identity.Login, idle time.Duration) v1.ConsoleLogin {
	return v1.ConsoleLogin{CSRFToken: identity.CSRFToken(token), ExpiresAt: l.ExpiresAt, ProviderID: string(l.Provider), IdleSeconds: int(idle / time.Second)}
}

func (a *API) postCookie(ctx context.Context, _ pam.Actor, in *withBody[v1.LoginIn]) (*cookied[v1.ConsoleLogin], error) {
	password := secret.FromString(in.Body.Password)
	defer password.Wipe()
	r, err := a.Identity.LoginConsole(ctx, in.Body.Email, password, client(ctx))
	return a.consoleLogin(ctx, r, err)
}

// consoleLogin answers with the cookie of a new login.
func (a *API) consoleLogin(ctx context.Context, r identity.LoginResult, err error) (*cookied[v1.ConsoleLogin], error) {
	if err != nil {
		return nil, loginRefusal(err)
	}
	before := callOf(ctx).token
	defer r.Token.Wipe()
	a.endReplaced(ctx, before)
	token := string(r.Token.Expose())
	_, idle, err := a.Identity.ConsoleLogin(ctx, token)
	if err != nil {
		return nil, err
	}
	return &cookied[v1.ConsoleLogin]{cookieName + "=" + token + cookieAttributes, consoleOf(token, r.Login, idle)}, nil
}

// endReplaced ends the login whose cookie is being replaced: nobody could sign
// out of it any more.
func (a *API) endReplaced(ctx context.Context, token string) {
	if token == "" {
		return
	}
	from := client(ctx)
	from.Personal = true
	actor, err := a.Identity.AuthenticateConsole(ctx, token, "", from)
	if err == nil {
		err = a.Identity.Logout(ctx, actor)
	}
	if err != nil && !pam.Is(err, pam.Unauthenticated) && !pam.Is(err, pam.NotFound) {
		a.Log.Warn("replaced login not ended", "request_id", callOf(ctx).id, "error", err)
	}
}

func (a *API) getCookie(ctx context.Context, _ pam.Actor, _ *nothing) (*answer[v1.ConsoleLogin], error) {
	token := callOf(ctx).token
	l, idle, err := a.Identity.ConsoleLogin(ctx, token)
	return reply(consoleOf(token, l, idle), err)
}

func (a *API) deleteCookie(ctx context.Context, actor pam.Actor, _ *nothing) (*struct {
	SetCookie string `header:"Set-Cookie" doc:"Takes the cookie away"`
}, error,
) {
	if err := a.Identity.Logout(ctx, actor); err != nil {
		return nil, err
	}
	return &struct {
		SetCookie string `header:"Set-Cookie" doc:"Takes the cookie away"`
	}{cookieName + "=" + cookieAttributes + "; Max-Age=0"}, nil
}
