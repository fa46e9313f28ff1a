package server

import (
	"context"
	"time"

	"vaultpam/edge/sshproxy"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/request"
)

// approvals lets people at a terminal ask for access, and wait for it.
type approvals struct{ s *Server }

// askFor is for how long somebody at a terminal asks.
const askFor = time.Hour

func (x approvals) Find(ctx context.Context, actor pam.Actor, want broker.Want) (sshproxy.Asked, error) {
	actor, safe, err := x.s.broker.Find(ctx, actor, want)
	if err != nil {
		return sshproxy.Asked{}, err
	}
	r, err := x.s.requests.Pending(ctx, actor, safe, want.Command)
	return asked(r), err
}

func (x approvals) Ask(ctx context.Context, actor pam.Actor, want broker.Want, reason string) (sshproxy.Asked, error) {
	actor, safe, err := x.s.broker.Find(ctx, actor, want)
	if err != nil {
		return sshproxy.Asked{}, err
	}
	longest, err := x.s.requests.Longest(ctx, actor, safe)
	if err != nil {
		return sshproxy.Asked{}, err
	}
	r, err := x.s.requests.Create(ctx, actor, request.Ask{Safe: safe, Reason: reason, Duration: min(askFor, longest), Command: want.Command})
	return asked(r), err
}

func asked(r request.Request) sshproxy.Asked {
	return sshproxy.Asked{Org: r.Org, ID: r.ID, Safe: r.SafeName}
}

func (x approvals) Outcome(ctx context.Context, a sshproxy.Asked) (bool, error) {
	return x.s.requests.Outcome(ctx, a.Org, a.ID)
}

// requestLetters writes to those who may decide on a request, or to whoever
// asked what came of it. Where no letter leaves this server, or one cannot be
// written, the console and the command line tell the same: nothing waits for
// it.
func (s *Server) requestLetters(ctx context.Context, a pam.Actor, r request.Request, to []request.Person) []pam.Outgoing {
	if !s.outbox.CanMail() {
		return nil
	}
	if p, err := s.db.Preferences(ctx, a.Org); err == nil && !p.ApproverMail && r.Status == request.Pending {
		return nil
	}
	kind := map[request.Status]string{request.Pending: pam.LetterAccessRequested, request.Approved: pam.LetterAccessApproved, request.Rejected: pam.LetterAccessRejected}[r.Status]
	o, err := s.db.OrganizationByID(ctx, a.Org)
	var out []pam.Outgoing
	for _, p := range to {
		if err != nil {
			break
		}
		to := s.url() + "/approvals/" + string(r.ID)
		if r.Status == request.Pending {
			var link string
			if link, err = s.requests.Link(ctx, r, p); err != nil {
				break
			}
			to += "#" + link
		}
		var m pam.Outgoing
		m, err = s.outbox.Letter(ctx, pam.Letter{
			Org: a.Org, Kind: kind, Object: string(r.ID), To: p.Email, Language: p.Language, OrgName: o.Name, By: a.Email, About: r.SafeName, Why: r.Reason,
			Link: secret.FromString(to), Until: r.ExpiresAt,
		})
		out = append(out, m)
	}
	if err != nil {
		s.log.Warn("nobody could be written to about an access request", "request", r.ID, "error", err)
		return nil
	}
	return out
}
