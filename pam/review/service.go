package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Deps is what a Service works with.
type Deps struct {
	Store   Store
	Decider Decider
	Scribe  *audit.Scribe
	Clock   clock.Clock
	IDs     *ids.Source
}

// Service is what the edges ask about who can reach what. It is safe for
// concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service { return &Service{d} }

// Begin starts a review of the roles that there are now. Owners and admins
// may.
func (s *Service) Begin(ctx context.Context, a pam.Actor, in Settings) (Review, error) {
	const op = "begin access review"
	if !policy.Allowed(policy.ReviewManage, policy.Of(a, "")) {
		return Review{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	now := s.Clock.Now()
	in.Safes = slices.Compact(slices.Sorted(slices.Values(in.Safes)))
	in.DueAt = in.DueAt.UTC().Truncate(time.Second)
	var ps pam.Problems
	if p := naming.Problem(in.Name); p != "" {
		ps.Add("name", p)
	}
	if len(in.Safes) > MaxSafes {
		ps.Add("safe_ids", fmt.Sprintf("names more than %d; leave it out for all", MaxSafes))
	}
	switch {
	case !in.DueAt.After(now):
		ps.Add("due_at", "is not in the future")
	case in.DueAt.Sub(now) > MaxDuration:
		ps.Add("due_at", "is more than a year away")
	}
	if in.OnExpiry != Keep && in.OnExpiry != Revoke {
		ps.Add("on_expiry", "is neither keep nor revoke")
	}
	if err := ps.Err(op); err != nil {
		return Review{}, err
	}
	r := Review{ID: pam.ReviewID(s.IDs.New(pam.PrefixReview)), Org: a.Org, Settings: in, Status: Open, CreatedBy: a.User, CreatedAt: now}
	e := s.Scribe.Entry(a, audit.AccessReviewStarted, r.target(), map[string]any{"safe_ids": texts(in.Safes), "due_at": in.DueAt.Format(time.RFC3339), "on_expiry": string(in.OnExpiry)})
	if err := s.Store.BeginReview(ctx, a.Org, r, func() pam.ReviewItemID { return pam.ReviewItemID(s.IDs.New(pam.PrefixReviewItem)) }, e); err != nil {
		return Review{}, pam.Wrap(op, err)
	}
	r, err := s.Store.ReviewByID(ctx, a.Org, r.ID)
	return r, pam.Wrap(op, err)
}

// sight says what of reviews the actor sees: everything, or what is about the
// Safes that they manage.
func (s *Service) sight(ctx context.Context, op string, a pam.Actor) (all bool, managed []pam.SafeID, err error) {
	if policy.Allowed(policy.ReviewSee, policy.Of(a, pam.SafeManager)) {
		if managed, err = s.Store.ManagedSafes(ctx, a.Org, a.User, s.Clock.Now()); err != nil {
			return false, nil, pam.Wrap(op, err)
		}
	}
	return policy.Allowed(policy.ReviewSee, policy.Of(a, "")), managed, nil
}

// List returns up to q.Limit reviews that the actor may see, newest first.
func (s *Service) List(ctx context.Context, a pam.Actor, q Query) ([]Review, error) {
	const op = "list access reviews"
	all, managed, err := s.sight(ctx, op, a)
	switch {
	case err != nil:
		return nil, err
	case !all && len(managed) == 0:
		return nil, nil
	case !all:
		q.Managed = managed
	}
	q.Limit = pam.PageSize(q.Limit)
	out, err := s.Store.ListReviews(ctx, a.Org, q)
	return out, pam.Wrap(op, err)
}

// ByID returns a review that the actor may see.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.ReviewID) (Review, error) {
	r, _, _, err := s.visible(ctx, "read access review", a, id)
	return r, err
}

func (s *Service) visible(ctx context.Context, op string, a pam.Actor, id pam.ReviewID) (r Review, all bool, managed []pam.SafeID, err error) {
	if all, managed, err = s.sight(ctx, op, a); err != nil {
		return r, all, nil, err
	}
	if !all {
		var some []Item
		if len(managed) > 0 {
			some, err = s.Store.ReviewItems(ctx, a.Org, id, ItemQuery{Managed: managed, Limit: 1})
		}
		if err != nil || len(some) == 0 {
			return r, all, nil, pam.Wrap(op, errOr(err, &pam.Error{Kind: pam.NotFound}))
		}
	}
	r, err = s.Store.ReviewByID(ctx, a.Org, id)
	return r, all, managed, pam.Wrap(op, err)
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// Items returns up to q.Limit items of a review that the actor may see.
func (s *Service) Items(ctx context.Context, a pam.Actor, id pam.ReviewID, q ItemQuery) ([]Item, error) {
	const op = "list items of access review"
	_, all, managed, err := s.visible(ctx, op, a, id)
	if err != nil {
		return nil, err
	}
	if !all {
		q.Managed = managed
	}
	q.Limit = pam.PageSize(q.Limit)
	items, err := s.Store.ReviewItems(ctx, a.Org, id, q)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	may := s.judge(a, managed)
	for i := range items {
		if items[i].Mine, err = may(ctx, items[i]); err != nil {
			return nil, pam.Wrap(op, err)
		}
	}
	return items, nil
}

// judge says whether somebody may decide about an item.
type judge func(context.Context, Item) (bool, error)

// judge returns what says whether the actor may decide about an item: nobody
// about themselves. Taking a role away that a group gives is for those who
// could have given it: a manager of the Safe; about who is in a group, a
// manager of each Safe in which it has a role, or an administrator.
func (s *Service) judge(a pam.Actor, managed []pam.SafeID) judge {
	manages := policy.Allowed(policy.ReviewDecide, policy.Of(a, pam.SafeManager))
	groups := map[pam.GroupID]bool{}
	return func(ctx context.Context, i Item) (bool, error) {
		if i.User == a.User {
			return false, nil
		}
		if i.Kind == SafeMember {
			return manages && slices.Contains(managed, i.Safe), nil
		}
		if policy.Allowed(policy.GroupWrite, policy.Of(a, "")) {
			return true, nil
		}
		may, known := groups[i.Group]
		if !known {
			safes, err := s.Store.SafesOfGroup(ctx, a.Org, i.Group)
			if err != nil {
				return false, err
			}
			may = manages && len(safes) > 0 && !slices.ContainsFunc(safes, func(id pam.SafeID) bool { return !slices.Contains(managed, id) })
			groups[i.Group] = may
		}
		return may, nil
	}
}

// Decide says of items whether what they are about stays. Revoking takes it
// away at once, with the live sessions that rested on it. All of it is done, or
// nothing.
func (s *Service) Decide(ctx context.Context, a pam.Actor, id pam.ReviewID, items []pam.ReviewItemID, verb Verb, comment string) ([]Item, error) {
	const op = "decide in access review"
	items = slices.Compact(slices.Sorted(slices.Values(items)))
	var ps pam.Problems
	if verb != Keep && verb != Revoke {
		ps.Add("decision", "is neither keep nor revoke")
	}
	if len(items) == 0 || len(items) > MaxDecisions {
		ps.Add("item_ids", fmt.Sprintf("must be 1 to %d", MaxDecisions))
	}
	if utf8.RuneCountInString(comment) > MaxComment {
		ps.Add("comment", fmt.Sprintf("is longer than %d characters", MaxComment))
	}
	if err := ps.Err(op); err != nil {
		return nil, err
	}
	r, all, managed, err := s.visible(ctx, op, a, id)
	if err != nil {
		return nil, err
	}
	may := s.judge(a, managed)
	for try := 1; ; try++ {
		out, err := s.decide(ctx, op, a, r, items, verb, comment, all, may)
		if !errors.Is(err, ErrOutrun) || try == 3 {
			return out, pam.Wrap(op, err)
		}
	}
}

func (s *Service) decide(ctx context.Context, op string, a pam.Actor, r Review, ids []pam.ReviewItemID, verb Verb, comment string, all bool, may judge) ([]Item, error) {
	items, err := s.Store.ItemsByID(ctx, a.Org, r.ID, ids)
	if err != nil {
		return nil, err
	}
	rulings := make([]Ruling, len(items))
	for n, i := range items {
		ok, err := may(ctx, i)
		switch {
		case err != nil:
			return nil, err
		case ok:
		case i.User == a.User:
			return nil, pam.Errorf(pam.Denied, op, "Nobody decides about their own access.")
		case !all:
			return nil, &pam.Error{Kind: pam.NotFound, Op: op}
		default:
			return nil, pam.Errorf(pam.Denied, op, "Only a manager of the safes that this is about decides on it.")
		}
		from := i.Verb
		if from != Pending && (from != Keep || verb != Revoke) {
			return nil, pam.Errorf(pam.Conflict, op, "This is decided: %s.", from)
		}
		i.Verb, i.Comment, i.DecidedBy, i.Decider, i.DecidedAt, i.Mine = verb, comment, a.User, a.Email, s.Clock.Now(), true
		rulings[n] = s.ruling(a, r, i, from, verb, false)
		items[n] = rulings[n].Item
	}
	return items, s.Store.Rule(ctx, a.Org, r.ID, rulings)
}

// ruling is a decision with what becomes of it and what is on record. effect is
// Keep or Revoke, also where nobody decided; last says that the Safe would have
// no manager left.
func (s *Service) ruling(a pam.Actor, r Review, i Item, from, effect Verb, last bool) Ruling {
	removal := audit.SafeMemberRemoved
	on := audit.Party{Type: "safe", ID: string(i.Safe), Name: i.SafeName}
	if i.Kind == GroupMember {
		removal = audit.GroupMemberRemoved
		on = audit.Party{Type: "group", ID: string(i.Group), Name: i.GroupName}
	} else if i.Now != "" {
		i.Role = pam.SafeRole(i.Now) // what it is about now, should it be another
	}
	switch {
	case i.Now == "":
		i.Outcome = Gone
	case effect == Keep:
		i.Outcome = Kept
	case last:
		i.Outcome = LastManager
	default:
		i.Outcome = Removed
		i.Now = ""
	}
	about := map[string]any{"review_id": string(r.ID), "item_id": string(i.ID)}
	for key, v := range map[string]string{"group_id": string(i.Group), "user_id": string(i.User), "role": string(i.Role)} {
		if v != "" {
			about[key] = v
		}
	}
	decided := maps.Clone(about)
	decided["decision"], decided["outcome"] = string(i.Verb), string(i.Outcome)
	if i.Comment != "" {
		decided["comment"] = i.Comment
	}
	out := Ruling{Item: i, From: from, Spare: i.Verb == Lapsed && i.Role == pam.SafeManager, Entries: []audit.Entry{s.Scribe.Entry(a, audit.AccessReviewDecided, on, decided)}}
	if i.Outcome == Removed {
		if i.Kind == GroupMember { // as wherever people leave a group
			delete(about, "user_id")
			about["user_ids"] = []string{string(i.User)}
		}
		out.Entries = append(out.Entries, s.Scribe.Entry(a, removal, on, about))
	}
	return out
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// Close ends a review before its time. What is pending lapses: what the review
// says of that holds, as if its time were over.
func (s *Service) Close(ctx context.Context, a pam.Actor, id pam.ReviewID) (Review, error) {
	const op = "close access review"
	if !policy.Allowed(policy.ReviewManage, policy.Of(a, "")) {
		return Review{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	r, err := s.Store.ReviewByID(ctx, a.Org, id)
	if err != nil {
		return Review{}, pam.Wrap(op, err)
	}
	if r.Status != Open {
		return Review{}, pam.Errorf(pam.Conflict, op, "This review is closed.")
	}
	if r.Counts.Pending > 0 && r.OnExpiry == Revoke && r.DueAt.After(s.Clock.Now()) {
		return Review{}, pam.Errorf(pam.Conflict, op, "%d decisions are still to be made, and what nobody decides on is revoked when the review is over: wait for %s.", r.Counts.Pending, r.DueAt.Format(time.RFC3339))
	}
	r, err = s.finish(ctx, a, r)
	return r, pam.Wrap(op, err)
}

// CloseDue closes the reviews whose time is over.
func (s *Service) CloseDue(ctx context.Context) error {
	due, err := s.Store.DueReviews(ctx, s.Clock.Now(), 16)
	if err != nil {
		return err
	}
	for _, r := range due {
		if _, err := s.finish(ctx, pam.Actor{Org: r.Org, Token: pam.SystemToken}, r); err != nil && !pam.Is(err, pam.Conflict) {
			return err
		}
	}
	return nil
}

// finish lets what is pending lapse, some at a time, and closes the review. A
// crash between two of these leaves it open and due.
func (s *Service) finish(ctx context.Context, a pam.Actor, r Review) (Review, error) {
	for {
		pending, err := s.Store.ReviewItems(ctx, r.Org, r.ID, ItemQuery{Verb: Pending, Limit: MaxDecisions})
		if err != nil {
			return r, err
		}
		if len(pending) == 0 {
			break
		}
		if err := s.lapse(ctx, a, r, pending); err != nil && !errors.Is(err, ErrOutrun) { // those are looked at again
			return r, err
		}
	}
	r, err := s.Store.ReviewByID(ctx, r.Org, r.ID)
	if err != nil {
		return r, err
	}
	r.Status, r.ClosedBy, r.ClosedAt = Closed, a.User, s.Clock.Now()
	c := r.Counts
	return r, s.Store.CloseReview(ctx, r.Org, r, s.Scribe.Entry(a, audit.AccessReviewClosed, r.target(),
		map[string]any{"items": int64(c.Total), "kept": int64(c.Kept), "revoked": int64(c.Revoked), "lapsed": int64(c.Lapsed)}))
}

// lapse decides for items about which nobody did. Managers are taken away one
// by one, so that the last of a Safe is seen to be it.
func (s *Service) lapse(ctx context.Context, a pam.Actor, r Review, items []Item) error {
	var rulings []Ruling
	for _, i := range items {
		i.Verb, i.DecidedAt = Lapsed, s.Clock.Now()
		if r.OnExpiry == Keep || i.Kind != SafeMember || i.Now != string(pam.SafeManager) {
			rulings = append(rulings, s.ruling(a, r, i, Pending, r.OnExpiry, false))
			continue
		}
		other, err := s.Store.OtherManager(ctx, r.Org, i.Safe, i.Member, i.DecidedAt)
		if err != nil {
			return err
		}
		if err := s.Store.Rule(ctx, r.Org, r.ID, []Ruling{s.ruling(a, r, i, Pending, r.OnExpiry, !other)}); err != nil {
			return err
		}
	}
	if len(rulings) == 0 {
		return nil
	}
	return s.Store.Rule(ctx, r.Org, r.ID, rulings)
}
