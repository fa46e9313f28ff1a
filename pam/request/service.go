package request

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Deps is what a Service works with.
type Deps struct {
	Store  Store
	Access Access
	Sealer pam.Sealer // of the links in letters
	Scribe *audit.Scribe
	Clock  clock.Clock
	IDs    *ids.Source
	// Letters tells approvers of a request, and the requester what was decided;
	// nil tells nobody. An error of it stops nothing.
	Letters func(ctx context.Context, a pam.Actor, r Request, to []Person) []pam.Outgoing
}

// Service is what the edges ask about requests and grants. It is safe for
// concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service { return &Service{d} }

// CommandHash names a command line in a grant: the SHA-256 of its bytes, in
// hex.
func CommandHash(command string) string {
	if command == "" {
		return ""
	}
	h := sha256.Sum256([]byte(command))
	return hex.EncodeToString(h[:])
}

func needs(ps *pam.Problems, field, text string, least, most int) {
	n := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text):
		ps.Add(field, "is not UTF-8")
	case n < least:
		ps.Add(field, "must be given")
	case n > most:
		ps.Add(field, fmt.Sprintf("is longer than %d characters", most))
	case strings.ContainsFunc(text, unicode.IsControl):
		ps.Add(field, "contains control characters")
	}
}

func (in Ask) check(op string) error {
	var ps pam.Problems
	needs(&ps, "reason", in.Reason, 1, MaxText)
	needs(&ps, "ticket", in.Ticket, 0, MaxTicket)
	if in.Duration < MinDuration || in.Duration > MaxDuration {
		ps.Add("duration_seconds", fmt.Sprintf("must be %d to %d", int(MinDuration.Seconds()), int(MaxDuration.Seconds())))
	}
	if len(in.Command) > MaxCommand || !utf8.ValidString(in.Command) || strings.ContainsFunc(in.Command, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		ps.Add("command", fmt.Sprintf("must be text of at most %d bytes", MaxCommand))
	}
	return ps.Err(op)
}

// Create asks for access. Whoever may launch in the Safe may ask, and for a
// requestable Safe everybody but an auditor.
func (s *Service) Create(ctx context.Context, a pam.Actor, in Ask) (Request, error) {
	const op = "request access"
	in.Reason, in.Ticket = strings.TrimSpace(in.Reason), strings.TrimSpace(in.Ticket)
	if err := in.check(op); err != nil {
		return Request{}, err
	}
	now := s.Clock.Now()
	f, err := s.Access.Facts(ctx, a.Org, a.User, in.Safe, now)
	if err != nil {
		return Request{}, pam.Wrap(op, err)
	}
	r := Request{
		ID: pam.RequestID(s.IDs.New(pam.PrefixRequest)), Org: a.Org, Ask: in, User: a.User, Email: a.Email, SafeName: f.SafeName,
		Status: Pending, CreatedAt: now, ExpiresAt: now.Add(f.Timeout),
	}
	q := f.Question
	q.Action, q.From, q.Groups = policy.RequestCreate, a.From, a.Groups
	d := policy.Evaluate(&q)
	if d.Effect == policy.Deny {
		return Request{}, s.refused(op, a, q, d)
	}
	if d.MaxSeconds > 0 && in.Duration > time.Duration(d.MaxSeconds)*time.Second {
		var ps pam.Problems
		ps.Add("duration_seconds", fmt.Sprintf("must be at most %d, by a policy of this safe", d.MaxSeconds))
		return Request{}, ps.Err(op)
	}
	r.Approvers = wanted(q, now)
	m := r.about()
	m["reason"], m["duration_seconds"], m["approvers"] = in.Reason, int64(in.Duration.Seconds()), int64(r.Approvers)
	var letters []pam.Outgoing
	if s.Letters != nil {
		people, err := s.Store.Approvers(ctx, a.Org, in.Safe, now, 100)
		if err != nil {
			return Request{}, pam.Wrap(op, err)
		}
		letters = s.Letters(ctx, a, r, slices.DeleteFunc(people, func(p Person) bool { return p.User == a.User }))
	}
	return r, pam.Wrap(op, s.Store.CreateRequest(ctx, a.Org, r, letters, s.Scribe.Entry(a, audit.UserAccessRequestCreated, r.target(), m)))
}

// refused says why somebody may not ask. To whoever may not know of the Safe
// it is not there.
func (s *Service) refused(op string, a pam.Actor, q policy.Question, d policy.Decision) error {
	if d.Step == policy.Membership {
		if !q.Safe.Requestable && !policy.Allowed(policy.SafeSee, policy.Of(a, q.SafeRole)) {
			return &pam.Error{Kind: pam.NotFound, Op: op}
		}
		return pam.Errorf(pam.Denied, op, "You may not request access to this safe.")
	}
	kind := pam.PolicyDenied
	switch d.Step {
	case policy.Lock:
		kind = pam.Locked
	case policy.Expiry:
		kind = pam.CredentialExpired
	}
	return pam.Errorf(kind, op, "%s", d.Refusal(&q))
}

// wanted is how many people must agree to a launch: at least one, since
// somebody asks.
func wanted(q policy.Question, now time.Time) int {
	q.Action, q.Live = policy.SessionLaunch, true
	q.Grants = []policy.Grant{{Starts: now, Ends: now.Add(time.Second)}}
	return max(1, policy.Evaluate(&q).Approvers)
}

// about is what the events of a request say.
func (r Request) about() map[string]any {
	m := map[string]any{"safe_id": string(r.Safe), "safe": r.SafeName, "user_id": string(r.User)}
	if r.Ticket != "" {
		m["ticket"] = r.Ticket
	}
	if r.Command != "" {
		m["command_sha256"] = CommandHash(r.Command)
	}
	return m
}

// role is what the actor is in a Safe.
func (s *Service) role(ctx context.Context, a pam.Actor, id pam.SafeID) (pam.SafeRole, error) {
	role, _, err := s.Store.RoleOf(ctx, a.Org, id, a.User, s.Clock.Now())
	return policy.Effective(a.Role, role), err
}

// visible is what of requests and grants the actor sees; nil: all.
func (s *Service) visible(ctx context.Context, a pam.Actor) (*Visible, error) {
	if policy.Allowed(policy.RequestSee, policy.Of(a, "")) {
		return nil, nil
	}
	safes, err := s.Store.SafesAs(ctx, a.Org, a.User, s.Clock.Now(), pam.SafeApprover, pam.SafeManager)
	return &Visible{User: a.User, Safes: safes}, err
}

// List returns up to q.Limit requests that the actor may see, newest first.
// toDecide narrows them to those on which the actor may decide.
func (s *Service) List(ctx context.Context, a pam.Actor, q Query, toDecide bool) ([]Request, error) {
	const op = "list access requests"
	decides, err := s.Store.SafesAs(ctx, a.Org, a.User, s.Clock.Now(), pam.SafeApprover)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	if toDecide {
		if len(decides) == 0 || a.Role == pam.Auditor {
			return nil, nil
		}
		q.Status, q.Visible = Pending, &Visible{Safes: decides}
	} else if q.Visible, err = s.visible(ctx, a); err != nil {
		return nil, pam.Wrap(op, err)
	}
	q.Limit = pam.PageSize(q.Limit)
	out, err := s.Store.ListRequests(ctx, a.Org, q)
	for i := range out {
		out[i].Mine = slices.Contains(decides, out[i].Safe) && s.open(a, out[i]) == nil
	}
	return out, pam.Wrap(op, err)
}

// open says why nobody, or not this actor, may decide on a request, whatever
// their role; nil if they may.
func (s *Service) open(a pam.Actor, r Request) error {
	const op = "decide on access request"
	switch {
	case r.User == a.User:
		return pam.Errorf(pam.Denied, op, "Nobody decides on their own request.")
	case r.Status != Pending:
		return pam.Errorf(pam.Conflict, op, "This request is %s.", r.Status)
	case !s.Clock.Now().Before(r.ExpiresAt):
		return pam.Errorf(pam.Conflict, op, "This request is %s.", Expired)
	case slices.ContainsFunc(r.Decisions, func(d Decision) bool { return d.User == a.User }):
		return pam.Errorf(pam.Conflict, op, "You have decided on this request: somebody else has to.")
	}
	return nil
}

// ByID returns a request that the actor may see.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.RequestID) (Request, error) {
	r, role, err := s.read(ctx, "read access request", a, id)
	r.Mine = err == nil && policy.Allowed(policy.RequestDecide, policy.Of(a, role)) && s.open(a, r) == nil
	return r, err
}

func (s *Service) read(ctx context.Context, op string, a pam.Actor, id pam.RequestID) (Request, pam.SafeRole, error) {
	r, err := s.Store.RequestByID(ctx, a.Org, id)
	if err != nil {
		return Request{}, "", pam.Wrap(op, err)
	}
	role, err := s.role(ctx, a, r.Safe)
	if err != nil {
		return Request{}, "", pam.Wrap(op, err)
	}
	if !policy.Allowed(policy.RequestSee, policy.Of(a, role).Owning(r.User == a.User)) {
		return Request{}, "", &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return r, role, nil
}

// Decide approves or rejects a request. An approver may agree to less time than
// was asked for (0: to all of it), never to more. The request becomes a grant
// once enough different people, who are all still approvers, have agreed; one
// who rejects ends it.
func (s *Service) Decide(ctx context.Context, a pam.Actor, id pam.RequestID, approve bool, duration time.Duration, comment, link string) (Request, error) {
	const op = "decide on access request"
	comment = strings.TrimSpace(comment)
	var ps pam.Problems
	needs(&ps, "comment", comment, 0, MaxText)
	if err := ps.Err(op); err != nil {
		return Request{}, err
	}
	if link != "" {
		if err := s.followed(ctx, op, a, id, link); err != nil {
			return Request{}, err
		}
	}
	for try := 1; ; try++ {
		r, err := s.decide(ctx, op, a, id, approve, duration, comment, link != "")
		if !errors.Is(err, ErrOutrun) || try == 5 {
			return r, pam.Wrap(op, err)
		}
	}
}

func (s *Service) decide(ctx context.Context, op string, a pam.Actor, id pam.RequestID, approve bool, duration time.Duration, comment string, byLink bool) (Request, error) {
	r, role, err := s.read(ctx, op, a, id)
	if err != nil {
		return Request{}, err
	}
	if r.User == a.User {
		return Request{}, s.open(a, r)
	}
	if !policy.Allowed(policy.RequestDecide, policy.Of(a, role)) {
		return Request{}, pam.Errorf(pam.Denied, op, "Only an approver of the safe decides on requests for it.")
	}
	if err := s.open(a, r); err != nil {
		return Request{}, err
	}
	if duration == 0 {
		duration = r.Duration
	}
	if duration < MinDuration || duration > r.Duration {
		var ps pam.Problems
		ps.Add("duration_seconds", fmt.Sprintf("must be %d to %d: what is asked for can be narrowed", int(MinDuration.Seconds()), int(r.Duration.Seconds())))
		return Request{}, ps.Err(op)
	}
	now := s.Clock.Now()
	d := Decision{User: a.User, Email: a.Email, Approve: approve, Comment: comment, Duration: duration, At: now}
	m := r.about()
	if comment != "" {
		m["comment"] = comment
	}
	if byLink {
		m["by_link"] = true
	}
	if !approve {
		r.Status, r.EndedAt = Rejected, now
		r.Decisions = append(r.Decisions, d)
		return r, s.Store.DecideRequest(ctx, a.Org, r, d, nil, s.tell(ctx, a, r), s.Scribe.Entry(a, audit.AccessRequestRejected, r.target(), m))
	}
	g, err := s.complete(ctx, a, &r, d)
	if err != nil {
		return Request{}, err
	}
	m["approvals"], m["approvers"] = int64(r.approvals()), int64(r.Approvers)
	m["duration_seconds"] = int64(duration.Seconds())
	entries := []audit.Entry{s.Scribe.Entry(a, audit.AccessRequestApproved, r.target(), m)}
	var letters []pam.Outgoing
	if g != nil {
		given := g.about()
		given["approvers"] = int64(g.Approvers)
		entries = append(entries, s.Scribe.Entry(a, audit.AccessDelegationGranted, g.target(), given))
		letters = s.tell(ctx, a, r)
	}
	return r, s.Store.DecideRequest(ctx, a.Org, r, d, g, letters, entries...)
}

func (r Request) approvals() int {
	n := 0
	for _, d := range r.Decisions {
		if d.Approve {
			n++
		}
	}
	return n
}

// complete adds an approval to r and, if that is enough, makes the grant. What
// people said who have lost the role since does not count, and how many must
// agree is asked anew: the Safe and its policies may have become stricter.
func (s *Service) complete(ctx context.Context, a pam.Actor, r *Request, d Decision) (*Grant, error) {
	f, err := s.Access.Facts(ctx, a.Org, r.User, r.Safe, d.At)
	if err != nil {
		return nil, err
	}
	if !f.Question.Role.Valid() {
		return nil, pam.Errorf(pam.Conflict, "", "Whoever asked is no active member of the organization any more.")
	}
	r.Approvers = max(r.Approvers, wanted(f.Question, d.At))
	counted, shortest := 1, d.Duration
	for _, earlier := range r.Decisions {
		role, ok, err := s.Store.RoleOf(ctx, a.Org, r.Safe, earlier.User, d.At)
		if err != nil {
			return nil, err
		}
		theirs, active, err := s.Store.ActiveRole(ctx, a.Org, earlier.User)
		if err != nil {
			return nil, err
		}
		if earlier.Approve && ok && active && policy.Allowed(policy.RequestDecide, policy.Facts{Role: theirs, SafeRole: role}) {
			counted++
			shortest = min(shortest, earlier.Duration)
		}
	}
	r.Decisions = append(r.Decisions, d)
	if counted < r.Approvers {
		return nil, nil
	}
	g := &Grant{
		ID: pam.GrantID(s.IDs.New(pam.PrefixGrant)), Org: a.Org, Request: r.ID, User: r.User, Email: r.Email, Safe: r.Safe, SafeName: r.SafeName,
		Approvers: counted, Starts: d.At, Ends: d.At.Add(shortest), Command: CommandHash(r.Command), Status: Active,
	}
	r.Status, r.EndedAt, r.Granted, r.Grant = Approved, d.At, shortest, g.ID
	return g, nil
}

// tell writes to whoever asked what came of it.
func (s *Service) tell(ctx context.Context, a pam.Actor, r Request) []pam.Outgoing {
	if s.Letters == nil {
		return nil
	}
	return s.Letters(ctx, a, r, []Person{{User: r.User, Email: r.Email}})
}

// Cancel takes back one's own request.
func (s *Service) Cancel(ctx context.Context, a pam.Actor, id pam.RequestID) (Request, error) {
	const op = "cancel access request"
	r, _, err := s.read(ctx, op, a, id)
	if err != nil {
		return Request{}, err
	}
	if r.User != a.User {
		return Request{}, pam.Errorf(pam.Denied, op, "Only whoever asked takes a request back.")
	}
	if r.Status != Pending {
		return Request{}, pam.Errorf(pam.Conflict, op, "This request is %s.", r.Status)
	}
	r.Status, r.EndedAt = Cancelled, s.Clock.Now()
	return r, pam.Wrap(op, s.Store.EndRequest(ctx, a.Org, r, s.Scribe.Entry(a, audit.AccessRequestCancelled, r.target(), r.about())))
}

// Pending returns the request that the actor has open for a Safe and a
// command; NotFound without one.
func (s *Service) Pending(ctx context.Context, a pam.Actor, id pam.SafeID, command string) (Request, error) {
	rows, err := s.Store.ListRequests(ctx, a.Org, Query{Status: Pending, Safe: id, User: a.User, Limit: MaxPending})
	now := s.Clock.Now()
	for _, r := range rows {
		if r.Command == command && now.Before(r.ExpiresAt) {
			return r, nil
		}
	}
	if err == nil {
		err = &pam.Error{Kind: pam.NotFound}
	}
	return Request{}, pam.Wrap("find pending access request", err)
}

// Longest is the longest that the actor may ask for.
func (s *Service) Longest(ctx context.Context, a pam.Actor, id pam.SafeID) (time.Duration, error) {
	f, err := s.Access.Facts(ctx, a.Org, a.User, id, s.Clock.Now())
	if err != nil {
		return 0, pam.Wrap("find longest grant", err)
	}
	q := f.Question
	q.Action, q.From, q.Groups = policy.RequestCreate, a.From, a.Groups
	if most := policy.Evaluate(&q).MaxSeconds; most > 0 {
		return min(MaxDuration, time.Duration(most)*time.Second), nil
	}
	return MaxDuration, nil
}

// Outcome says, to whoever waits for their request, what came of it: nil for an
// approval, an Error with a sentence for a refusal. waiting is true while
// nobody has decided.
func (s *Service) Outcome(ctx context.Context, org pam.OrgID, id pam.RequestID) (waiting bool, err error) {
	const op = "wait for approval"
	r, err := s.Store.RequestByID(ctx, org, id)
	switch {
	case err != nil:
		return false, pam.Wrap(op, err)
	case r.Status == Approved:
		return false, nil
	case r.Status == Rejected:
		text := "Your request was rejected"
		if n := len(r.Decisions); n > 0 && r.Decisions[n-1].Comment != "" {
			text += ": " + r.Decisions[n-1].Comment
		}
		return false, pam.Errorf(pam.Denied, op, "%s.", strings.TrimSuffix(text, "."))
	case r.Status != Pending:
		return false, pam.Errorf(pam.Denied, op, "Your request is %s.", r.Status)
	case !s.Clock.Now().Before(r.ExpiresAt):
		return false, pam.Errorf(pam.Denied, op, "Nobody has decided on your request in time.")
	}
	return true, nil
}
