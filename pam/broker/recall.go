package broker

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/checkout"
	"vaultpam/pam/policy"
)

// A checkout ends when the same decision would not give it any more. All that
// are out are looked at after a change on which they may rest, and every
// recallEvery: hours end without a change, and word of one may be lost, or come
// before the checkout that was decided without it.
const (
	recallTick  = time.Second
	recallEvery = 10 * time.Second
	// recallRest is how many times as long as it took a look rests before the
	// next, so that looking costs a tenth of one core, however many are out.
	recallRest = 10
	recallPage = 500
)

// CheckoutStanding is what a checkout that is out rests on, as it is now.
type CheckoutStanding struct {
	checkout.Checkout
	OrgRole  pam.Role     // "" : not an active member any more
	SafeRole pam.SafeRole // "" : no role in the Safe any more
	Groups   []pam.GroupID
	Grants   []policy.Grant // for the Safe
	Types    policy.Types   // of the resources at which the Safe binds the account; 0: it does not
	Version  int64          // of the Safe; 0: it is gone
}

// recall is what is known from one look at the checkouts for the next. It
// belongs to whoever calls Recall.
type recall struct {
	moved atomic.Bool // something changed on which a checkout may rest
	safes map[pam.SafeID]controls
	blind map[pam.OrgID]time.Time // since when the policies of an organization cannot be read
}

// controls is what a version of a Safe says.
type controls struct {
	version int64
	policy.Controls
}

// look is one look at all checkouts.
type look struct {
	now   time.Time
	safes map[pam.SafeID]controls
	books map[pam.OrgID]policy.Book // nil: cannot be read
	ended time.Duration             // that it took to end some
	errs  []error
}

// changed hears of a change, of whatever organization.
func (r *recall) changed(s pam.Subject) {
	switch s {
	case pam.SubjectSafe, pam.SubjectPolicy, pam.SubjectMember, pam.SubjectGroup, pam.SubjectUser, pam.SubjectGrant, pam.SubjectOrg, pam.SubjectResource:
		r.moved.Store(true)
	}
}

// RunRecall ends the checkouts whose ground is gone, until ctx ends.
func (b *Broker) RunRecall(ctx context.Context) {
	tick := time.NewTicker(recallTick)
	defer tick.Stop()
	var last, rest time.Time // when the last look began, and until when the next one waits
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := b.Clock.Now()
		if now.Before(rest) || now.Sub(last) < recallEvery && !b.recall.moved.Load() {
			continue
		}
		ended, err := b.Recall(ctx)
		if err != nil && ctx.Err() == nil {
			b.Log.Error("not every checkout that has lost its ground could be ended, trying again", "error", err)
		}
		done := b.Clock.Now()
		last, rest = now, done.Add(recallRest*(done.Sub(now)-ended))
	}
}

// Recall looks once at all checkouts that are out, and ends those that would
// not be given any more. It says how long the ending took. One that cannot be
// ended does not keep the others.
func (b *Broker) Recall(ctx context.Context) (time.Duration, error) {
	b.recall.moved.Store(false)
	l := look{now: b.Clock.Now(), safes: map[pam.SafeID]controls{}, books: map[pam.OrgID]policy.Book{}}
	var after CheckoutStanding
	for {
		page, err := b.Store.CheckoutStandings(ctx, after.Org, after.ID, l.now, recallPage)
		if err != nil {
			l.errs = append(l.errs, err)
			break
		}
		for _, st := range page {
			b.reconsider(ctx, &l, st)
		}
		if len(page) < recallPage || ctx.Err() != nil {
			break
		}
		after = page[len(page)-1]
	}
	if len(l.errs) > 0 {
		b.recall.moved.Store(true)
	} else {
		b.recall.safes = l.safes // what nobody has any more is forgotten
	}
	return l.ended, pam.Wrap("recall checkouts", errors.Join(l.errs...))
}

// reconsider ends a checkout if it would not be given now.
func (b *Broker) reconsider(ctx context.Context, l *look, st CheckoutStanding) {
	if !l.now.Before(st.ExpiresAt) {
		return // its time has ended it
	}
	c, err := b.controls(ctx, l, st)
	if pam.Is(err, pam.NotFound) {
		return // the Safe went just now, of which word is under way
	}
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	book := b.rules(ctx, l, st.Org)
	why, rule := recalled(st, c, book[st.Safe], l.now)
	if since := b.recall.blind[st.Org]; why == "" && !since.IsZero() && l.now.Sub(since) >= trustFor {
		why, rule = checkout.Unconfirmed, ""
	}
	if why == "" {
		return
	}
	began := b.Clock.Now()
	e := checkout.CheckedIn(b.Scribe, pam.Actor{Org: st.Org, Token: pam.SystemToken}, st.Checkout, why, rule)
	if err := b.Store.CheckIn(ctx, st.Org, st.ID, "", why, began, e); err != nil && !pam.Is(err, pam.Conflict) { // somebody was quicker
		l.errs = append(l.errs, err)
	}
	l.ended += b.Clock.Now().Sub(began)
}

// controls is what the checkout's Safe says, read again where it has changed.
func (b *Broker) controls(ctx context.Context, l *look, st CheckoutStanding) (policy.Controls, error) {
	c, ok := l.safes[st.Safe]
	if !ok {
		c, ok = b.recall.safes[st.Safe]
	}
	if st.Version != 0 && (!ok || c.version != st.Version) {
		s, err := b.Store.SafeByID(ctx, st.Org, st.Safe, st.User, l.now)
		if err != nil {
			return policy.Controls{}, err
		}
		c = controls{s.Version, s.Controls()}
	}
	l.safes[st.Safe] = c
	return c.Controls, nil
}

// rules are the policies of an organization. Where they cannot be read there
// are none, which ends less: a checkout goes on for as long as is trusted
// without knowing.
func (b *Broker) rules(ctx context.Context, l *look, org pam.OrgID) policy.Book {
	book, known := l.books[org]
	if known {
		return book
	}
	book, err := b.Policies.Rules(ctx, org)
	if err == nil {
		delete(b.recall.blind, org)
	} else {
		b.Log.Error("the policies of checkouts cannot be read", "org", org, "error", err)
		if b.recall.blind[org].IsZero() {
			b.recall.blind[org] = l.now
		}
	}
	l.books[org] = book
	return book
}

// causes is what a step that refuses makes of a checkout.
var causes = map[policy.Step]checkout.Cause{
	policy.Membership: checkout.AccessRemoved, policy.CheckoutOff: checkout.SwitchedOff, policy.Lock: checkout.SafeLocked, policy.ValidHours: checkout.HoursOver,
	policy.Expiry: checkout.CredentialExpired, policy.Policies: checkout.PolicyDenied, policy.Approval: checkout.ApprovalNeeded,
}

// recalled says why a checkout would not be given now, and what decided; "" if
// it would. It is pure.
func recalled(st CheckoutStanding, c policy.Controls, rules policy.Set, now time.Time) (checkout.Cause, string) {
	switch {
	case !st.OrgRole.Valid():
		return checkout.MembershipEnded, ""
	case st.Version == 0 || st.Types == 0:
		return checkout.BindingRemoved, ""
	}
	from, _ := netip.ParseAddr(st.ClientIP) // not known: counts against it
	q := policy.Question{
		Action: policy.CredentialReveal, User: st.User, Groups: st.Groups, Role: st.OrgRole, SafeRole: st.SafeRole, Grants: st.Grants, Safe: c, Rules: rules,
		Emergency: st.Emergency, Declared: st.Emergency, Types: st.Types, From: from, At: now, Live: true,
	}
	d := policy.Evaluate(&q)
	lost := st.Grant != "" && !slices.ContainsFunc(st.Grants, func(g policy.Grant) bool { return g.ID == st.Grant && now.Before(g.Ends) })
	switch {
	case d.Step == policy.Lock:
		return checkout.SafeLocked, d.Decider(&q)
	case lost:
		return checkout.GrantEnded, "grant " + string(st.Grant)
	case d.Open():
		return "", ""
	}
	return cmp.Or(causes[d.Step], checkout.AccessRemoved), d.Decider(&q)
}
