package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/policy"
	"vaultpam/pam/session"
)

const (
	sweepEvery   = 250 * time.Millisecond
	recheckEvery = time.Second
	aliveEvery   = 10 * time.Second
	// trustFor is how long sessions go on while nobody can tell whether their
	// users still may.
	trustFor = time.Minute
)

// Run cuts sessions whose time is over or whose ground is gone, until ctx
// ends. It is needed for everything in this file.
func (b *Broker) Run(ctx context.Context) {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	var rechecked, alive time.Time
	for {
		now := b.Clock.Now()
		if now.Sub(alive) >= aliveEvery {
			if err := b.Store.NodeAlive(ctx, b.node, now); err != nil && ctx.Err() == nil {
				b.Log.Error("this node could not say that it lives", "error", err)
			} else {
				alive = now
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
			b.recheck(ctx)
			rechecked = now
		case <-sweep.C:
			b.sweep()
			b.redo(ctx)
			if now.Sub(rechecked) >= recheckEvery {
				b.recheck(ctx)
				rechecked = now
			}
		}
	}
}

// Changed hears of a committed change; subscribe it to the store. It does not
// block.
func (b *Broker) Changed(c pam.Change) {
	b.recall.changed(c.Subject)
	b.mu.Lock()
	touched := false
	for id, l := range b.live {
		s := &l.Session
		if c.Org != pam.InstanceOrg && c.Org != s.Org {
			continue
		}
		if slices.Contains([]string{string(id), string(s.UserID), string(s.SafeID), string(s.ResourceID), string(s.AccountID)}, c.ID) ||
			slices.Contains([]pam.Subject{pam.SubjectMember, pam.SubjectGroup, pam.SubjectOrg, pam.SubjectUser, pam.SubjectPolicy}, c.Subject) {
			touched = true
			break
		}
	}
	b.mu.Unlock()
	if touched {
		b.poke()
	}
}

// poke asks Run to look at what live sessions rest on.
func (b *Broker) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Live lists the sessions that are open in this process.
func (b *Broker) Live() []*Live {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*Live, 0, len(b.live))
	for _, l := range b.live {
		out = append(out, l)
	}
	return out
}

// recheck reads what the live sessions rest on and cuts those that may not go
// on.
func (b *Broker) recheck(ctx context.Context) {
	live := b.Live()
	now := b.Clock.Now()
	if len(live) == 0 {
		b.mu.Lock()
		b.trusted = now
		b.mu.Unlock()
		return
	}
	read, err := b.Store.Standings(ctx, b.node, now)
	if err != nil {
		b.mu.Lock()
		lost := now.Sub(b.trusted) >= trustFor && !b.trusted.IsZero()
		b.mu.Unlock()
		b.Log.Error("nobody can tell whether live sessions may go on", "error", err)
		if lost {
			for _, l := range live {
				l.cut(unconfirmed())
			}
		}
		return
	}
	b.mu.Lock()
	b.trusted = now
	b.mu.Unlock()
	books := b.books(ctx, live, now)
	byID := make(map[pam.SessionID]Standing, len(read))
	for _, st := range read {
		byID[st.Session] = st
	}
	for _, l := range live {
		st, ok := byID[l.Session.ID]
		if !ok {
			// Its row was there before it was registered, so somebody has
			// ended it on record.
			l.cut(&Cut{Reason: "ended on record", Sentence: "This session is over on record."})
			continue
		}
		if err := b.refresh(ctx, l, st, books, now); err != nil {
			b.Log.Error("the safe of a live session cannot be read, trying again", "session", l.Session.ID, "error", err)
		}
		if c := stands(st, &l.question); c != nil {
			l.cut(c)
		}
	}
}

// unconfirmed ends a session of which nobody can tell whether it may go on.
func unconfirmed() *Cut {
	return &Cut{Reason: "access could not be confirmed", Sentence: "This session was ended: nobody can confirm any more that you may use it.", Failed: true}
}

// books reads the policies of the organizations whose sessions are live. One
// whose policies cannot be read is left out, and harms no other: its sessions
// go on by the policies of before for as long as is trusted without knowing.
func (b *Broker) books(ctx context.Context, live []*Live, now time.Time) map[pam.OrgID]policy.Book {
	out, tried := map[pam.OrgID]policy.Book{}, map[pam.OrgID]bool{}
	for _, l := range live {
		org := l.Session.Org
		if tried[org] {
			continue
		}
		tried[org] = true
		book, err := b.Policies.Rules(ctx, org)
		if err == nil {
			out[org] = book
			delete(b.blind, org)
			continue
		}
		b.Log.Error("the policies of live sessions cannot be read", "org", org, "error", err)
		if b.blind[org].IsZero() {
			b.blind[org] = now
		}
	}
	for org := range b.blind {
		if !tried[org] {
			delete(b.blind, org)
		}
	}
	return out
}

// refresh brings the question of a live session up to date. What the Safe says
// is read again where the Safe has changed.
func (b *Broker) refresh(ctx context.Context, l *Live, st Standing, books map[pam.OrgID]policy.Book, now time.Time) error {
	q := &l.question
	q.At, q.Role, q.SafeRole, q.Groups, q.Grants = now, st.OrgRole, st.SafeRole, st.Groups, st.Grants
	if book, ok := books[l.Session.Org]; ok {
		q.Rules = book[l.Session.SafeID]
	} else if now.Sub(b.blind[l.Session.Org]) >= trustFor {
		l.cut(unconfirmed())
	}
	q.Safe.Locked = st.Locked
	if st.Version == l.safe.Version || st.Version == 0 {
		return nil
	}
	s, err := b.Store.SafeByID(ctx, l.Session.Org, l.Session.SafeID, l.Session.UserID, now)
	if pam.Is(err, pam.NotFound) {
		q.SafeRole = "" // it went just now
		return nil
	}
	if err != nil {
		return err
	}
	l.safe.Version, q.Safe = s.Version, s.Controls()
	q.Safe.Expires = time.Time{}
	return nil
}

// sweep cuts the sessions whose time is over or whose recording is lost, and
// warns the others.
func (b *Broker) sweep() {
	now := b.Clock.Now()
	for _, l := range b.Live() {
		l.sweep(now)
	}
}

func (l *Live) sweep(now time.Time) {
	quiet := now.Sub(time.UnixMicro(l.touched.Load()))
	if w := l.writer.Load(); w != nil && l.lost(w.Err()) != nil {
		return
	}
	switch {
	case !now.Before(l.Session.ExpiresAt):
		l.cut(&Cut{Reason: "session time over", Sentence: "This session was ended: its time is over."})
		return
	case l.idle > 0 && quiet >= l.idle:
		l.cut(&Cut{Reason: "idle timeout", Sentence: fmt.Sprintf("This session was ended: it was idle for %s.", words(l.idle))})
		return
	}
	// Hours and windows end by themselves, without anybody changing anything.
	l.question.At = now
	if c := still(&l.question); c != nil {
		l.cut(c)
		return
	}
	left, what := l.Session.ExpiresAt.Sub(now), "its time is over"
	if idle := l.idle - quiet; l.idle > session.WarnBefore && idle < left {
		left, what = idle, "nothing was typed"
	}
	if left > session.WarnBefore {
		l.warned = false
	} else if !l.warned {
		l.warned = true
		select {
		case l.warn <- fmt.Sprintf("This session ends in %s: %s.", words(left), what):
		default:
		}
	}
}

// words is a duration for people.
func words(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d.Round(time.Minute).Minutes()))
	case d == time.Minute:
		return "1 minute"
	}
	return fmt.Sprintf("%d seconds", int(d.Seconds()))
}

// redo stores the ends of sessions and checkouts that could not be stored
// before.
func (b *Broker) redo(ctx context.Context) {
	b.mu.Lock()
	todo := b.undone
	b.undone = nil
	b.mu.Unlock()
	for i, store := range todo {
		if err := store(ctx); err != nil {
			b.mu.Lock()
			b.undone = append(todo[i:], b.undone...)
			b.mu.Unlock()
			return
		}
	}
}

// Drain refuses new sessions, tells the live ones that the server stops, and
// waits until their ends are stored or ctx ends.
func (b *Broker) Drain(ctx context.Context) error {
	b.mu.Lock()
	b.draining = true
	b.mu.Unlock()
	for _, l := range b.Live() {
		l.cut(&Cut{Reason: "server shutdown", Sentence: "This session was ended: the server is shutting down."})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if len(b.Live()) == 0 {
			b.redo(ctx)
			return nil
		}
		select {
		case <-ctx.Done():
			return pam.Wrap("drain sessions", errors.Join(ctx.Err(), fmt.Errorf("%d sessions are still open", len(b.Live()))))
		case <-tick.C:
		}
	}
}
