package outbox

import (
	"context"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Preferences are an organization's, on letters that nobody has asked for.
type Preferences struct {
	ApproverMail bool // those who may decide on an access request are written to
}

// DefaultPreferences are those of an organization that has said nothing.
var DefaultPreferences = Preferences{ApproverMail: true}

// Message is a letter, as far as it may be seen: never what it says.
type Message struct {
	pam.Outgoing
	Delivery pam.Delivery
}

func may(op string, a pam.Actor, action policy.Action) error {
	if !policy.Allowed(action, policy.Of(a, "")) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	return nil
}

// Preferences returns the organization's.
func (s *Service) Preferences(ctx context.Context, a pam.Actor) (Preferences, error) {
	const op = "read notifications"
	if err := may(op, a, policy.WebhookRead); err != nil {
		return Preferences{}, err
	}
	p, err := s.Store.Preferences(ctx, a.Org)
	return p, pam.Wrap(op, err)
}

// SetPreferences replaces the organization's, and returns them.
func (s *Service) SetPreferences(ctx context.Context, a pam.Actor, p Preferences) (Preferences, error) {
	const op = "change notifications"
	if err := may(op, a, policy.WebhookWrite); err != nil {
		return Preferences{}, err
	}
	e := s.Scribe.Entry(a, audit.OrganizationUpdated, audit.Party{Type: "organization", ID: string(a.Org)},
		map[string]any{"changed": []string{"approver_email"}, "approver_email": p.ApproverMail})
	return p, pam.Wrap(op, s.Store.SetPreferences(ctx, a.Org, p, e))
}

// Messages lists the organization's letters, the newest first: those of one
// status, or of all; after is the id of the last one seen.
func (s *Service) Messages(ctx context.Context, a pam.Actor, status pam.DeliveryStatus, after pam.OutgoingID, limit int) ([]Message, error) {
	const op = "list letters"
	if err := may(op, a, policy.WebhookRead); err != nil {
		return nil, err
	}
	out, err := s.Store.Messages(ctx, a.Org, status, after, limit)
	return out, pam.Wrap(op, err)
}
