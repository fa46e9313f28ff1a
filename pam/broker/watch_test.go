package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/policy"
	"vaultpam/pam/safe"
	"vaultpam/pam/session"
)

// some has policies of one organization, and cannot read those of any other.
type some struct {
	org  pam.OrgID
	book policy.Book
}

func (s some) Rules(_ context.Context, org pam.OrgID) (policy.Book, error) {
	if org != s.org {
		return nil, errors.New("disk on fire")
	}
	return s.book, nil
}

// An organization whose policies cannot be read harms no other. Its own
// sessions go on by what was read before, and not for longer than a minute.
func TestPoliciesThatCannotBeReadHarmTheirOwnOrganizationAlone(t *testing.T) {
	b := New(Deps{IDs: ids.NewSource(clock.Real{}, rand.Reader), Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler), Policies: some{"org_well", policy.Book{"saf_1": {ruled(policy.Deny)}}}})
	live := func(org pam.OrgID) *Live {
		return b.newLive(session.Session{Org: org, SafeID: "saf_1"}, place{safe: safe.Safe{Version: 1}, question: policy.Question{Action: policy.SessionLaunch}}, 0)
	}
	well, ill := live("org_well"), live("org_ill")
	st := Standing{OrgRole: pam.Operator, SafeRole: pam.SafeOperator, Bound: true, Version: 1}
	look := func(at time.Time) (cuts [2]*Cut) {
		t.Helper()
		books := b.books(t.Context(), []*Live{ill, well}, at)
		for i, l := range []*Live{well, ill} {
			if err := b.refresh(t.Context(), l, st, books, at); err != nil {
				t.Fatal(err)
			}
			cuts[i] = stands(st, &l.question)
		}
		return cuts
	}
	if cuts := look(noon); cuts[0] == nil || cuts[1] != nil {
		t.Errorf("%v", cuts)
	}
	if look(noon.Add(trustFor - time.Second)); ill.Err() != nil {
		t.Errorf("cut after less than a minute: %v", ill.Err())
	}
	if look(noon.Add(trustFor)); ill.Err() == nil || well.Err() != nil {
		t.Errorf("after a minute: %v, and the other %v", ill.Err(), well.Err())
	}
	b.books(t.Context(), nil, noon)
	if len(b.blind) != 0 {
		t.Errorf("%v is remembered", b.blind)
	}
}
