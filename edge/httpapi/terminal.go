package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"vaultpam/edge"
	"vaultpam/pam"
)

// Terminal is the terminal of sessions in a browser. *webterm.Server satisfies
// it.
type Terminal interface {
	// Check says whether r is a handshake that Serve can take up.
	Check(r *http.Request) error
	// Serve returns when the terminal is closed. An actor without a User has
	// not logged in, and must show a ticket there.
	Serve(w http.ResponseWriter, r *http.Request, actor pam.Actor, id pam.SessionID)
	// Ticket is what the actor connects with to the session that they launched.
	Ticket(actor pam.Actor, id pam.SessionID) (string, error)
}

// getTerminal hands the connection over. What a WebSocket is refused for is
// told on it, where a page can read it; only a handshake that is none is
// answered here.
func (a *API) getTerminal(ctx context.Context, actor pam.Actor, in *ByID) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		c, id := callOf(ctx), pam.SessionID(in.ID)
		var err error
		if !edge.IsWebSocket(r) {
			err = a.connectable(ctx, actor, id)
		}
		if err == nil {
			err = a.Terminal.Check(r)
		}
		if err != nil {
			writeError(w, a.refusal(c, err))
			return
		}
		actor.From, actor.RequestID = c.from, c.id
		a.Terminal.Serve(w, r, actor, id)
	}}, nil
}

// connectable says whether the actor could connect to a session now.
func (a *API) connectable(ctx context.Context, actor pam.Actor, id pam.SessionID) error {
	const op = "connect to session"
	s, err := a.Sessions.ByID(ctx, actor, id)
	switch {
	case err != nil:
		return err
	case s.UserID != actor.User:
		return pam.Errorf(pam.Denied, op, "Only the user who launched a session connects to it.")
	case !s.Status.Open() || s.Node != "":
		return pam.Errorf(pam.Conflict, op, "This session has a connection already, or is over: launch a new one.")
	}
	return nil
}

// Words are the constant and the sentence by which an error is told, for
// answers that are not HTTP's.
func Words(err error) (code, message string) {
	e := fromError(err)
	return e.code, e.message
}
