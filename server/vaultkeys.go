package server

import (
	"cmp"
	"context"
	"errors"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/vault"
)

// How often the keys of the vault are looked after.
const (
	turnEvery   = time.Second      // is there a rotation to be run?
	turnAgain   = 10 * time.Second // after a rotation could not go on
	retireEvery = 5 * time.Minute
)

// keysChanged makes this node look for keys that another one has made.
func (s *Server) keysChanged(c pam.Change) {
	if c.Subject == pam.SubjectKeys {
		s.vault.Heard(c.Org)
	}
}

// watched shows how far a rotation is.
type watched struct {
	vault.RotationStore
	metrics *metrics
}

func (w watched) Reseal(ctx context.Context, r *vault.Rotation, values []vault.Value) (int, error) {
	n, err := w.RotationStore.Reseal(ctx, r, values)
	if err == nil && r != nil {
		w.metrics.rotated(r.Step(vault.StepValues))
	}
	return n, err
}

func (s *Server) rotator() *vault.Rotator {
	return &vault.Rotator{Vault: s.vault, Store: watched{s.db.Vault(), s.metrics}, Recordings: s.recordings, Clock: s.clock, Kept: s.keysKept}
}

func (s *Server) keysKept(org pam.OrgID, why string) {
	s.log.Info("an old key of the vault stays for now", "org", org, "why", why)
}

// turnKeys runs the rotation that somebody has begun, on this node or another,
// and looks after old keys, until ctx ends.
func (s *Server) turnKeys(ctx context.Context) error {
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	var again, retire time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := s.clock.Now()
		if s.vault.Status().Sealed || now.Before(again) {
			continue
		}
		ran, err := s.runRotation(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Error("the rotation of keys waits", "error", err)
			again = now.Add(turnAgain)
			continue
		}
		if ran || !now.Before(retire) {
			retire = now.Add(retireEvery)
			s.try(ctx, "retire keys", s.retireKeys)
			s.try(ctx, "rotate worn keys", s.rotateWorn)
		}
	}
}

// runRotation runs the rotation that is this node's to run, if there is one.
func (s *Server) runRotation(ctx context.Context) (bool, error) {
	keys := s.db.Vault()
	r, err := keys.ClaimRotation(ctx)
	if pam.Is(err, pam.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r.Trouble = ""
	if err := s.rotator().Run(ctx, &r); err != nil {
		if pam.Is(err, pam.Conflict) { // another node runs it
			return false, nil
		}
		r.Trouble = "It was interrupted, and will be tried again."
		if e, ok := errors.AsType[*pam.Error](err); ok {
			r.Trouble = cmp.Or(e.Public, r.Trouble)
		}
		return false, errors.Join(err, keys.SaveRotation(context.WithoutCancel(ctx), r))
	}
	r.FinishedAt = s.clock.Now()
	meta := map[string]any{"scope": r.Scope, "failed": r.Failed()}
	for _, step := range r.Steps {
		meta[step.Name] = step.Done
	}
	if r.Org != "" {
		meta["org_id"] = string(r.Org)
	}
	if err := keys.FinishRotation(ctx, r, s.keyEvent(audit.VaultKeyRotationFinished, meta)); err != nil {
		return false, err
	}
	s.log.Info("keys were rotated", "scope", r.Scope, "values", r.Step(vault.StepValues).Done, "failed", r.Failed(), "took", r.FinishedAt.Sub(r.StartedAt))
	return true, nil
}

func (s *Server) keyEvent(t audit.Type, meta map[string]any) audit.Entry {
	return s.scribe.Entry(pam.Actor{Token: pam.SystemToken}, t, audit.Party{Type: "vault"}, meta)
}

// retireKeys removes keys that nothing names any more.
func (s *Server) retireKeys(ctx context.Context) error {
	_, err := s.rotator().Retire(ctx, func(ctx context.Context, r vault.Removal) error {
		if r.Version == 0 {
			// Before the act, since the list is under the seal and not in SQL.
			if err := s.db.Audit().Append(ctx, pam.InstanceOrg, s.keyEvent(audit.VaultKeyRemoved, map[string]any{"key": "root"})); err != nil {
				return err
			}
			return s.vault.KeepNewestRoot(ctx)
		}
		meta := map[string]any{"key": "organization", "org_id": string(r.Org), "version": int64(r.Version)}
		err := s.db.Vault().RemoveOrgKey(ctx, r.Org, r.Version, s.clock.Now().Add(-vault.Grace), s.keyEvent(audit.VaultKeyRemoved, meta))
		if pam.Is(err, pam.Conflict) { // another node was first, or it is in use after all
			return nil
		}
		return err
	})
	return err
}

// rotateWorn begins a rotation for a key that has sealed half of what it may.
func (s *Server) rotateWorn(ctx context.Context) error {
	keys, err := s.db.Vault().AllOrgKeys(ctx)
	if err != nil {
		return err
	}
	for i, k := range keys {
		if !worn(keys, i) {
			continue
		}
		s.log.Warn("an organization's key has sealed half of what it may, and is rotated", "org", k.Org, "version", k.Version, "uses", k.Uses)
		r := vault.NewRotation(s.ids.New(rotationPrefix), vault.ScopeOrganization, k.Org, s.clock.Now())
		meta := map[string]any{"scope": r.Scope, "org_id": string(k.Org), "uses": k.Uses}
		err := s.db.Vault().StartRotation(ctx, r, s.keyEvent(audit.VaultKeyRotationStarted, meta))
		if err != nil && !pam.Is(err, pam.Conflict) {
			return err
		}
		return nil // one at a time
	}
	return nil
}

// worn says whether keys[i] seals, and has for long enough. keys are in order.
func worn(keys []vault.OrgKey, i int) bool {
	return keys[i].Uses >= vault.DueUses && (i+1 == len(keys) || keys[i+1].Org != keys[i].Org)
}

const rotationPrefix = "kro_"

// mayTurn refuses who is no administrator of the instance with a login.
func mayTurn(op string, a pam.Actor) error {
	if !a.InstanceAdmin || a.Token != pam.LoginToken {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	return nil
}

// RotateKeys is for an administrator of the instance, after a step-up.
func (v vaultAdmin) RotateKeys(ctx context.Context, a pam.Actor, in v1.KeyRotationIn) (v1.KeyRotation, error) {
	const op = "rotate keys"
	if err := mayTurn(op, a); err != nil {
		return v1.KeyRotation{}, err
	}
	if !a.Fresh(v.s.clock.Now()) {
		return v1.KeyRotation{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	scope, org := cmp.Or(in.Scope, vault.ScopeAll), pam.OrgID(in.OrgID)
	var ps pam.Problems
	if org != "" && scope != vault.ScopeOrganization {
		ps.Add("org_id", "goes with the scope organization")
	}
	if err := ps.Err(op); err != nil {
		return v1.KeyRotation{}, err
	}
	if org != "" {
		if keys, err := v.s.db.Vault().OrgKeys(ctx, org); err != nil || len(keys) == 0 {
			return v1.KeyRotation{}, cmp.Or(pam.Wrap(op, err), error(&pam.Error{Kind: pam.NotFound, Op: op}))
		}
	}
	if scope != vault.ScopeOrganization {
		if err := v.s.vault.ProbeSeal(ctx); err != nil {
			return v1.KeyRotation{}, err
		}
	}
	r := vault.NewRotation(v.s.ids.New(rotationPrefix), scope, org, v.s.clock.Now())
	r.StartedBy = string(a.User)
	meta := map[string]any{"scope": scope}
	if org != "" {
		meta["org_id"] = string(org)
	}
	e := audit.ForOrg(v.s.scribe.Entry(a, audit.VaultKeyRotationStarted, audit.Party{Type: "vault"}, meta), pam.InstanceOrg)
	err := v.s.db.Vault().StartRotation(ctx, r, e)
	if pam.Is(err, pam.Conflict) {
		return v1.KeyRotation{}, pam.Errorf(pam.Conflict, op, "The keys are being rotated already.")
	}
	if err != nil {
		return v1.KeyRotation{}, pam.Wrap(op, err)
	}
	return v.s.keyRotation(ctx)
}

// KeyRotation is for an administrator of the instance.
func (v vaultAdmin) KeyRotation(ctx context.Context, a pam.Actor) (v1.KeyRotation, error) {
	if err := mayTurn("read key rotation", a); err != nil {
		return v1.KeyRotation{}, err
	}
	return v.s.keyRotation(ctx)
}

func (s *Server) keyRotation(ctx context.Context) (v1.KeyRotation, error) {
	out := v1.KeyRotation{State: "none", Steps: []v1.KeyRotationStep{}, Problems: []v1.KeyProblem{}}
	r, err := s.db.Vault().LatestRotation(ctx)
	switch {
	case pam.Is(err, pam.NotFound):
	case err != nil:
		return out, err
	default:
		out.State, out.Scope, out.OrgID, out.StartedBy, out.Trouble = r.State, r.Scope, string(r.Org), r.StartedBy, r.Trouble
		out.StartedAt, out.FinishedAt = timeOrNil(r.StartedAt), timeOrNil(r.FinishedAt)
	}
	for _, step := range r.Steps {
		out.Steps = append(out.Steps, v1.KeyRotationStep{
			Step: step.Name, Total: step.Total, Done: step.Done, Failed: step.Failed, StartedAt: timeOrNil(step.StartedAt), FinishedAt: timeOrNil(step.FinishedAt),
		})
		end := step.FinishedAt
		if end.IsZero() {
			end = s.clock.Now()
		}
		if took := end.Sub(step.StartedAt); step.Name == vault.StepValues && !step.StartedAt.IsZero() && took > 0 {
			out.ValuesPerSecond = float64(step.Done) / took.Seconds()
		}
	}
	for _, p := range r.Problems {
		out.Problems = append(out.Problems, v1.KeyProblem{Place: p.Place, OrgID: string(p.Org), Object: p.Object, Version: p.Version, Reason: p.Reason})
	}
	root, n, err := s.vault.RootVersions(ctx)
	if err != nil {
		return out, err
	}
	out.Keys.RootVersion, out.Keys.OldRootKeys = int64(root), n-1
	keys, err := s.db.Vault().AllOrgKeys(ctx)
	if err != nil {
		return out, err
	}
	for i, k := range keys {
		if i+1 < len(keys) && keys[i+1].Org == k.Org {
			out.Keys.OldOrganizationKeys++
			continue
		}
		out.Keys.OrganizationKeys++
		if worn(keys, i) {
			out.Keys.DueForRotation++
		}
	}
	return out, nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
