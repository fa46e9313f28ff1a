package server

import (
	"context"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/broker"
)

// alarmed bounds to how many one emergency is written.
const alarmed = 200

// emergencyLetters writes to everybody who answers for the Safe, whatever their
// preferences. A server that sends no mail tells it by webhooks and in the
// audit log; an error keeps the emergency from beginning, since nobody would
// hear of it.
func (s *Server) emergencyLetters(ctx context.Context, a pam.Actor, e broker.Emergency) ([]pam.Outgoing, error) {
	if !s.outbox.CanMail() {
		return nil, nil
	}
	o, err := s.db.OrganizationByID(ctx, a.Org)
	if err != nil {
		return nil, err
	}
	people, err := s.db.Answerable(ctx, a.Org, e.Safe.ID, s.clock.Now(), alarmed)
	if err != nil {
		return nil, err
	}
	var out []pam.Outgoing
	for _, p := range people {
		m, err := s.outbox.Letter(ctx, pam.Letter{
			Org: a.Org, Kind: pam.LetterBreakGlass, Object: e.Object, To: p.Email, Language: p.Language, OrgName: o.Name, By: a.Email, About: e.Safe.Name, Why: e.Reason,
			Link: secret.FromString(s.url() + "/safes/" + string(e.Safe.ID)), Until: s.clock.Now(),
		})
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}
