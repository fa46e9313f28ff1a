package server

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/edge/httpapi"
	"vaultpam/edge/webterm"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/vault"
	"vaultpam/vault/sealshamir"
	"vaultpam/vault/sealtransit"
)

// A server listens from its start, and serves from when its vault has opened:
// at once, when enough shares were given, or when a seal that did not answer
// does. Sealed again later, it keeps what it has built, and serves nobody.

// gate is the state of being open.
type gate struct {
	seal   vault.RootSeal
	shares *sealshamir.Seal // the same, where people open it

	mu      sync.Mutex             // one opens or seals at a time
	root    atomic.Pointer[[]byte] // as it was wrapped when somebody looked last
	begun   atomic.Bool
	byHand  atomic.Bool // sealed by an administrator: it does not open by itself
	handler atomic.Pointer[http.Handler]
	keys    atomic.Pointer[[]ssh.Signer]
	term    atomic.Pointer[webterm.Server]
	opened  chan struct{} // tells the jobs
}

// sealed says whether nothing but the way to open it is served.
func (s *Server) sealed() bool { return s.vault.Status().Sealed || !s.gate.begun.Load() }

// hostKeys are nil until the vault has opened for the first time.
func (g *gate) hostKeys() []ssh.Signer {
	if keys := g.keys.Load(); keys != nil {
		return *keys
	}
	return nil
}

// ServeHTTP serves what can be served at this moment.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*g.handler.Load()).ServeHTTP(w, r)
}

func (g *gate) serve(h http.Handler) { g.handler.Store(&h) }

// begin does, once, what a server that serves needs of its open vault. Called
// with gate.mu held, or before anybody else is there.
func (s *Server) begin(ctx context.Context) error {
	keys, err := s.hostKeys(ctx)
	if err != nil {
		return err
	}
	if err := s.recoverAll(ctx); err != nil {
		return err
	}
	digestKey, err := s.randomKey(ctx, digestKeyName, digestKeyPurpose)
	if err != nil {
		return pam.Wrap("open key of request digests", err)
	}
	ticketKey, err := s.randomKey(ctx, ticketKeyName, ticketKeyPurpose)
	if err != nil {
		return pam.Wrap("open key of terminal tickets", err)
	}
	terminals := webterm.New(webterm.Deps{
		Door: s.broker, Actors: s.identity, Origins: s.origins(), Key: ticketKey, Words: httpapi.Words, Clock: s.clock, Log: s.log,
	})
	s.gate.term.Store(terminals)
	s.gate.keys.Store(&keys)
	s.gate.serve(s.withSCIM(s.api(digestKey, terminals)))
	s.gate.begun.Store(true)
	s.announce(keys)
	return nil
}

// unseal opens the vault with what the seal has, and begins to serve.
func (s *Server) unseal(ctx context.Context, by pam.Actor) error {
	g := &s.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	return s.unsealLocked(ctx, by)
}

func (s *Server) unsealLocked(ctx context.Context, by pam.Actor) error {
	g := &s.gate
	if !s.sealed() {
		return nil
	}
	// Whoever asked may be gone before it is done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute)
	defer cancel()
	if err := s.vault.Unseal(ctx); err != nil {
		return err
	}
	err := s.noteVault(ctx, by, audit.VaultUnsealed, nil)
	if err == nil && !g.begun.Load() {
		err = s.begin(ctx)
	}
	if err != nil {
		s.vault.Lock() // no act without its event, and nothing half begun
		return err
	}
	g.byHand.Store(false)
	select {
	case g.opened <- struct{}{}:
	default:
	}
	return nil
}

// noteVault writes an event of the vault into the instance's log.
func (s *Server) noteVault(ctx context.Context, by pam.Actor, t audit.Type, m map[string]any) error {
	e := audit.ForOrg(s.scribe.Entry(by, t, audit.Party{Type: "vault", Name: s.gate.seal.Kind()}, m), pam.InstanceOrg)
	return s.db.Audit().Append(ctx, pam.InstanceOrg, e)
}

// reopen opens the vault as soon as a seal that did not answer does, and drops
// shares that have waited too long, until ctx ends.
func (s *Server) reopen(ctx context.Context) error {
	wait := reopenFirst
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if s.gate.shares != nil {
			s.progress() // wipes what is over
		}
		if !s.sealed() || s.gate.byHand.Load() || s.gate.shares != nil {
			wait = reopenFirst
			continue
		}
		if err := s.unseal(ctx, pam.Actor{Token: pam.SystemToken}); err != nil && ctx.Err() == nil {
			wait = min(2*wait, reopenMost)
			s.log.Warn("vault not opened", "seal", s.gate.seal.Kind(), "again_in", wait, "error", err)
		}
	}
}

// renew keeps the token of a seal that has one.
func (s *Server) renew(ctx context.Context) error {
	if seal, ok := s.gate.seal.(*sealtransit.Seal); ok {
		seal.Run(ctx, func(err error) { s.log.Warn("token of the seal not renewed", "error", err) })
	}
	<-ctx.Done() // whoever returns earlier ends the others
	return nil
}

// progress says how far the shares are.
func (s *Server) progress() sealshamir.Progress {
	root := s.gate.root.Load()
	if root == nil {
		return sealshamir.Progress{}
	}
	p, err := s.gate.shares.Progress(*root)
	if err != nil {
		return sealshamir.Progress{}
	}
	return p
}

// offer adds a share to what is collected, and opens the vault with the last
// one.
func (s *Server) offer(ctx context.Context, by pam.Actor, share secret.Value, reset bool) error {
	const op = "unseal vault"
	g := &s.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if !s.sealed() {
		return nil
	}
	meta, err := s.db.Vault().VaultMeta(ctx)
	if err != nil {
		return pam.Wrap(op, err)
	}
	g.root.Store(&meta.Root) // a move to other shares may have replaced it
	before, err := g.shares.Progress(meta.Root)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if reset && before.Given > 0 {
		if err := s.noteVault(ctx, by, audit.VaultSharesDropped, map[string]any{"progress": int64(before.Given)}); err != nil {
			return err
		}
		g.shares.Drop()
		before.Given = 0
	}
	if share.Empty() {
		if reset {
			return nil
		}
		return s.unsealLocked(ctx, by)
	}
	p, err := g.shares.Offer(meta.Root, share.Expose())
	if err != nil {
		return s.refused(ctx, by, err)
	}
	if p.Given == before.Given {
		return nil // it was given before
	}
	if err := s.noteVault(ctx, by, audit.VaultShareGiven, map[string]any{"progress": int64(p.Given), "threshold": int64(p.Threshold)}); err != nil {
		g.shares.Drop()
		return err
	}
	if p.Given < p.Threshold {
		return nil
	}
	if err = s.unsealLocked(ctx, by); errors.Is(err, vault.ErrWrongKey) {
		return s.refused(ctx, by, errCombination)
	}
	return err
}

var errCombination = errors.New("these shares do not open the vault; all of them were dropped: begin again")

// refused says why a share is not taken: no more than the share itself gives
// away to whoever holds it.
func (s *Server) refused(ctx context.Context, by pam.Actor, err error) error {
	if errors.Is(err, errCombination) || errors.Is(err, sealshamir.ErrOtherVault) || errors.Is(err, sealshamir.ErrContradict) {
		if err := s.noteVault(ctx, by, audit.VaultUnsealFailed, nil); err != nil {
			return err
		}
	}
	if errors.Is(err, sealshamir.ErrDamaged) {
		return pam.Wrap("unseal vault", err)
	}
	return &pam.Error{Kind: pam.Invalid, Op: "unseal vault", Fields: []pam.Problem{{Field: "share", Problem: err.Error()}}}
}
