package request

import (
	"context"
	"encoding/base64"

	"vaultpam/pam"
)

// A letter to somebody who may decide has a link that is theirs: the vault's
// word for the request and the person. It opens nothing: whoever follows it
// signs in, and decides by the right that they have. But a decision that comes
// by it is on record as made so, and by nobody else; and since nobody decides
// twice on a request, it serves once.

const linkPurpose = "request.link"

func linkBinding(org pam.OrgID, id pam.RequestID) pam.Binding {
	return pam.Binding{Org: org, Purpose: linkPurpose, Object: string(id), Version: 1}
}

// Link is the part of the address in a letter to p about r that is p's.
func (s *Service) Link(ctx context.Context, r Request, p Person) (string, error) {
	sealed, err := s.Sealer.Seal(ctx, linkBinding(r.Org, r.ID), []byte(p.User))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// followed refuses a link that is not of the actor, or of another request.
func (s *Service) followed(ctx context.Context, op string, a pam.Actor, id pam.RequestID, link string) error {
	sealed, err := base64.RawURLEncoding.DecodeString(link)
	if err != nil {
		return pam.Errorf(pam.Denied, op, "This link is not one of ours, or of another request.")
	}
	user, err := s.Sealer.Open(ctx, linkBinding(a.Org, id), sealed)
	if pam.Is(err, pam.Sealed) {
		return err
	}
	if err != nil {
		return pam.Errorf(pam.Denied, op, "This link is not one of ours, or of another request.")
	}
	defer user.Wipe()
	if string(user.Expose()) != string(a.User) {
		return pam.Errorf(pam.Denied, op, "This letter was written to somebody else: sign in as who you are, and decide without it.")
	}
	return nil
}
