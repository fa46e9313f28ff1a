package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// How often a step is tried before it is given up, and how long one may take.
const (
	triesUntold  = 8  // nothing has happened yet: then it has failed
	triesTold    = 12 // something may have: then a person is asked
	triesRetired = 6  // the earlier secret still logs in
	triesSpread  = 12
	stepTime     = 90 * time.Second
	lease        = 5 * time.Minute // more than the steps between two writes take
)

// wait is how long it takes until the next try.
func wait(attempts int) time.Duration {
	return min(2*time.Second<<min(attempts, 10), 10*time.Minute)
}

// work is one rotation in this process's hands.
type work struct {
	s *Service
	r Rotation
	// told says that it was this process that entered applying just now: the
	// target cannot have heard before.
	told    bool
	subject Subject
	facts   Facts
}

// run does the steps of a claimed rotation until it is over or has to wait.
// Each is durable before the next one begins, so that whoever goes on after a
// crash finds out by asking the target what the crash has hidden.
func (w *work) run(ctx context.Context) error {
	settings, err := w.s.Store.RotationSettings(ctx, w.r.Org, w.r.Account)
	if err != nil {
		return err
	}
	w.subject = Subject{Rotation: w.r.ID, Org: w.r.Org, Account: w.r.Account, Settings: settings}
	if w.facts, err = w.s.Door.Facts(ctx, w.r.Org, w.r.Account, settings); err == nil {
		err = w.facts.rotatable()
	}
	switch {
	case err != nil && (w.r.State == Queued || w.r.State == Kept) && hopeless(err):
		return w.fail(ctx, said(err))
	case err != nil:
		return w.later(ctx, err, 0)
	}
	w.subject.Resource, w.r.Resource = w.facts.Resource, w.facts.Resource
	for w.r.State.Open() && w.r.State != Stuck {
		before := w.r.State
		step, cancel := context.WithTimeout(ctx, stepTime)
		err := w.step(step)
		cancel()
		if err != nil || w.r.State == before {
			return err
		}
	}
	return nil
}

// step does the next thing. When it returns without an error, the state has
// changed, or the rotation waits.
func (w *work) step(ctx context.Context) error {
	switch w.r.State {
	case Queued:
		return w.keep(ctx)
	case Kept:
		if !w.r.Push() {
			return w.verifyUpload(ctx)
		}
		w.told = true
		unknown := Unknown
		return w.advance(ctx, Step{Working: &unknown}, Applying)
	case Applying:
		return w.apply(ctx)
	case Applied:
		return w.verify(ctx)
	case Verified:
		return w.retire(ctx)
	case Spreading:
		return w.spread(ctx)
	}
	return fmt.Errorf("rotation %s: no step from %s", w.r.ID, w.r.State)
}

// keep makes the new value and puts it into the vault.
func (w *work) keep(ctx context.Context) error {
	w.r.Old, w.r.Next = w.facts.Working, w.facts.Newest+1
	c, err := w.s.Door.Generate(ctx, w.subject, w.facts.Kind, w.r.Next)
	switch {
	case hopeless(err):
		return w.fail(ctx, said(err))
	case err != nil:
		return w.later(ctx, err, 0)
	}
	return w.advance(ctx, Step{Candidate: &c}, Kept)
}

// verifyUpload asks the target about a value that was changed elsewhere.
func (w *work) verifyUpload(ctx context.Context) error {
	switch err := w.s.Door.Try(ctx, w.subject, w.r.Next); {
	case err == nil:
		return w.verified(ctx)
	case refusedLogin(err):
		return w.fail(ctx, "The target refuses the value that was uploaded.")
	default:
		return w.later(ctx, err, triesUntold)
	}
}

// apply tells the target, unless it turns out that it was told already.
func (w *work) apply(ctx context.Context) error {
	if !w.told {
		switch err := w.s.Door.Try(ctx, w.subject, w.r.Next); {
		case err == nil:
			return w.verified(ctx)
		case !refusedLogin(err):
			return w.later(ctx, err, triesTold)
		}
	}
	told := w.told
	w.told = false
	c := Change{Old: w.r.Old, Next: w.r.Next}
	if w.subject.Settings.ByReconcile {
		c.By = w.subject.Settings.Reconcile
	}
	touched, err := w.s.Door.Apply(ctx, w.subject, c)
	switch {
	case err == nil:
		return w.advance(ctx, Step{}, Applied)
	case refusedLogin(err) && c.By == "":
		return w.lost(ctx)
	case told && !touched && hopeless(err):
		return w.fail(ctx, said(err))
	case pam.Is(err, pam.TargetRefused) || hopeless(err) && !touched:
		return w.settle(ctx, said(err))
	case told && !touched:
		// The target has not heard of it: the old version is what it was.
		w.r.Attempts++
		w.r.Problem, w.r.NextAt = said(err), w.s.Clock.Now().Add(wait(w.r.Attempts))
		if w.r.Attempts >= triesUntold {
			return w.failForNow(ctx, said(err))
		}
		return w.back(ctx)
	default:
		return w.later(ctx, err, triesTold)
	}
}

// back returns to where the target has not heard, and waits there.
func (w *work) back(ctx context.Context) error {
	old := Working(w.r.Old)
	next := w.r
	next.State = Kept
	if err := w.write(ctx, Step{Working: &old, Next: next, Lease: w.s.Clock.Now()}); err != nil {
		return err
	}
	return errWaits
}

// verify logs in anew after the target said yes.
func (w *work) verify(ctx context.Context) error {
	switch err := w.s.Door.Try(ctx, w.subject, w.r.Next); {
	case err == nil:
		return w.verified(ctx)
	case refusedLogin(err):
		return w.settle(ctx, "The target said that it took the new value, and refuses it.")
	default:
		return w.later(ctx, err, triesTold)
	}
}

// settle finds out whether the earlier version still logs in where the new one
// was not taken.
func (w *work) settle(ctx context.Context, problem string) error {
	if w.r.Old == 0 {
		return w.stick(ctx, problem)
	}
	switch err := w.s.Door.Try(ctx, w.subject, w.r.Old); {
	case err == nil:
		return w.fail(ctx, problem)
	case refusedLogin(err):
		return w.lost(ctx)
	default:
		return w.later(ctx, err, triesTold)
	}
}

// lost is where the earlier version is refused: either the new one has been
// taken, or neither logs in and the reconcile account has to help.
func (w *work) lost(ctx context.Context) error {
	switch err := w.s.Door.Try(ctx, w.subject, w.r.Next); {
	case err == nil:
		return w.verified(ctx)
	case !refusedLogin(err):
		return w.later(ctx, err, triesTold)
	}
	by := w.subject.Settings.Reconcile
	if by == "" {
		return w.stick(ctx, "The target refuses both the earlier and the new secret, and no reconcile account is named. Name one and retry, or store the secret that is right.")
	}
	_, err := w.s.Door.Apply(ctx, w.subject, Change{Next: w.r.Next, By: by})
	switch {
	case err == nil:
		w.r.Repaired = true
		return w.advance(ctx, Step{}, Applied)
	case refusedLogin(err):
		return w.stick(ctx, "The target refuses both the earlier and the new secret, and the reconcile account as well.")
	case pam.Is(err, pam.TargetRefused), hopeless(err):
		return w.stick(ctx, said(err))
	}
	return w.later(ctx, err, triesTold)
}

// verified notes that the new version logs in: from here on it is given out.
func (w *work) verified(ctx context.Context) error {
	next := Working(w.r.Next)
	return w.advance(ctx, Step{Working: &next}, Verified)
}

// retire shows that the earlier version does not log in any more, and promotes
// the new one.
func (w *work) retire(ctx context.Context) error {
	if w.r.Old != 0 {
		err := w.s.Door.Try(ctx, w.subject, w.r.Old)
		if err == nil {
			c := Change{Old: w.r.Old, Next: w.r.Next}
			if err = w.s.Door.Retire(ctx, w.subject, c); err == nil {
				err = w.s.Door.Try(ctx, w.subject, w.r.Old)
			}
			if err == nil || pam.Is(err, pam.TargetRefused) {
				return w.later(ctx, pam.Errorf(pam.TargetRefused, "", "The earlier secret still logs in beside the new one."), triesRetired)
			}
		}
		if !refusedLogin(err) {
			return w.later(ctx, err, triesTold)
		}
	}
	w.r.Problem, w.r.Pending = "", w.subject.Settings.Dependents
	if len(w.r.Pending) > 0 {
		return w.advance(ctx, Step{Promote: true}, Spreading)
	}
	return w.advance(ctx, Step{Promote: true}, Done)
}

// spread brings the copies up to date, each one on record before the next.
func (w *work) spread(ctx context.Context) error {
	for len(w.r.Pending) > 0 {
		d := w.r.Pending[0]
		err := w.s.Door.Spread(ctx, w.subject, d, w.r.Next)
		if err != nil && w.r.Attempts < triesSpread && !hopeless(err) && !pam.Is(err, pam.TargetRefused) {
			// The others do not wait for this one.
			w.r.Pending = append(w.r.Pending[1:], d)
			return w.later(ctx, pam.Errorf(pam.KindOf(err), "", "%s was not brought up to date: %s", d, said(err)), 0)
		}
		w.r.Pending = w.r.Pending[1:]
		if err != nil {
			w.r.Problem = fmt.Sprintf("%s was not brought up to date: %s", d, said(err))
		}
		if len(w.r.Pending) == 0 {
			break
		}
		if err := w.write(ctx, Step{Next: w.r}); err != nil {
			return err
		}
	}
	return w.advance(ctx, Step{}, Done)
}

// errWaits ends run where the rotation is written down to wait.
var errWaits = errors.New("the rotation waits")

// later tries the step again after a while; after most tries (0: without end)
// it gives up. While the vault is sealed nothing counts as a try.
func (w *work) later(ctx context.Context, err error, most int) error {
	if pam.Is(err, pam.Internal) {
		w.s.Log.Error("a step of a rotation failed", "rotation", w.r.ID, "account", w.r.Account, "state", w.r.State, "error", err)
	}
	w.r.Problem = said(err)
	if !pam.Is(err, pam.Sealed) {
		w.r.Attempts++
	}
	if most > 0 && w.r.Attempts >= most {
		if w.r.State == Kept {
			return w.failForNow(ctx, w.r.Problem)
		}
		return w.stick(ctx, w.r.Problem)
	}
	now := w.s.Clock.Now()
	w.r.NextAt = now.Add(wait(w.r.Attempts))
	if err := w.write(ctx, Step{Next: w.r, Lease: now}); err != nil {
		return err
	}
	return errWaits
}

// fail ends the rotation with the version that was there before. The schedule
// wants it again after a while.
func (w *work) fail(ctx context.Context, problem string) error {
	return w.failed(ctx, problem, Step{})
}

// failForNow is fail where another time may go better: somebody knows a secret
// that was to be changed, so it is tried again.
func (w *work) failForNow(ctx context.Context, problem string) error {
	var s Step
	switch w.r.Trigger {
	case AfterSession, AfterCheckIn, BreakGlass:
		s.Again = w.s.Clock.Now().Add(retryAfter)
	}
	return w.failed(ctx, problem, s)
}

func (w *work) failed(ctx context.Context, problem string, s Step) error {
	w.r.Problem = problem
	s.Reject, s.NotBefore = w.r.Next != 0, w.s.Clock.Now().Add(retryAfter)
	if w.r.State != Queued && w.r.State != Kept {
		old := Working(w.r.Old)
		s.Working = &old
	}
	return w.advance(ctx, s, Failed)
}

// stick leaves the rotation to a person.
func (w *work) stick(ctx context.Context, problem string) error {
	w.r.Problem = problem
	return w.advance(ctx, Step{}, Stuck)
}

// advance enters a state, with its events.
func (w *work) advance(ctx context.Context, s Step, to State) error {
	if !w.r.State.May(to) {
		return fmt.Errorf("rotation %s: %s cannot follow %s", w.r.ID, to, w.r.State)
	}
	now := w.s.Clock.Now()
	s.Next = w.r
	s.Next.State, s.Next.Attempts, s.Next.NextAt, s.Next.UpdatedAt = to, 0, now, now
	if to == Failed || to == Done {
		s.Next.EndedAt = now
	}
	if to == Kept || to == Applying && w.r.State == Kept {
		s.Next.Attempts = w.r.Attempts // one and the same try to reach the target
	}
	s.Letters = w.s.letters(ctx, s.Next)
	return w.write(ctx, s, w.s.events(s.Next)...)
}

// write stores a step, and remembers it when it was stored.
func (w *work) write(ctx context.Context, s Step, events ...audit.Entry) error {
	s.From = w.r.State
	if s.Lease.IsZero() {
		s.Lease = w.s.Clock.Now().Add(lease)
	}
	// What was found out is written down even where the time for finding out
	// is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTime)
	defer cancel()
	if err := w.s.Store.Advance(ctx, w.r.Org, s, events...); err != nil {
		return err
	}
	w.r = s.Next
	return nil
}

// refusedLogin says whether the target said no to the credential.
func refusedLogin(err error) bool { return pam.Is(err, pam.TargetAuthFailed) }

// hopeless says whether trying again changes nothing: somebody has to change
// the account, its Safe or its settings.
func hopeless(err error) bool {
	switch pam.KindOf(err) {
	case pam.Invalid, pam.Conflict, pam.NotFound, pam.Denied, pam.PolicyDenied:
		return err != nil
	}
	return false
}

// said is what an error says to people.
func said(err error) string {
	if e, ok := errors.AsType[*pam.Error](err); ok {
		if e.Public != "" {
			return e.Public
		}
		if len(e.Fields) > 0 {
			return e.Fields[0].Field + " " + e.Fields[0].Problem
		}
	}
	return pam.KindOf(err).String()
}
