package identity

import (
	"context"
	"slices"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Whoever has nothing but a passkey cannot show it to a native protocol: no
// browser is there. So the connection shows a link and a short code, and waits
// until the same person confirms it in the console, by a login that has shown
// a second factor and is fresh.

// Elsewhere says whether a second factor can be shown in the console alone.
func (h Half) Elsewhere() bool {
	return slices.Contains(h.factors, WebAuthn) && !slices.Contains(h.factors, TOTP)
}

// AskElsewhere begins to wait for h's person; name is what they read of the
// connection. The request is over after DeviceTTL.
func (s *Service) AskElsewhere(ctx context.Context, h Half, name string, c Client) (Device, error) {
	d, code, err := s.newDevice(ctx, name, h.user.ID, c)
	code.Wipe() // nobody fetches a login with it
	return d, pam.Wrap("ask in the console", err)
}

// ConfirmedElsewhere says how far a request has come. Once it is approved, the
// actor is there, this once.
func (s *Service) ConfirmedElsewhere(ctx context.Context, h Half, d Device, c Client) (pam.Actor, DeviceStatus, error) {
	const op = "authenticate"
	now := s.clock.Now()
	found, err := s.store.DeviceByCode(ctx, d.CodeHash, now)
	switch {
	case pam.Is(err, pam.NotFound):
		return pam.Actor{}, DeviceExpired, nil
	case err != nil:
		return pam.Actor{}, "", pam.Wrap(op, err)
	case found.Status != DeviceApproved:
		return pam.Actor{}, found.Status, nil
	case found.User != h.user.ID || found.Wants != h.user.ID:
		return pam.Actor{}, DeviceDenied, nil
	}
	places, err := s.store.PlacesOf(ctx, h.user.ID)
	if err != nil {
		return pam.Actor{}, "", pam.Wrap(op, err)
	}
	if !admitted(h.user, places) {
		return pam.Actor{}, DeviceDenied, nil
	}
	e := s.entryOf(h.user, c, audit.LoginSucceeded, map[string]any{"method": h.method, "factor": string(WebAuthn), "approved_by": string(found.ApprovedBy)})
	if err := s.store.EndDevice(ctx, found, now, e); err != nil {
		if pam.Is(err, pam.Conflict) {
			return pam.Actor{}, DeviceExpired, nil
		}
		return pam.Actor{}, "", pam.Wrap(op, err)
	}
	s.lockout.succeeded(h.user.Email, c.From)
	a := h.like
	a.SecondFactor, a.StepUpAt = true, now
	return a, DeviceApproved, nil
}
