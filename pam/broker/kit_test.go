package broker_test

import (
	"testing"
	"time"

	"vaultpam/internal/kit"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/broker"
	"vaultpam/pam/safe"
)

var wantKit = broker.KitWant{Safe: "two", Reason: "for the safe at the bank", Shares: 3, Threshold: 2}

func TestKitIsOnRecordBeforeAnythingIsOpened(t *testing.T) {
	w := newWorld(t)
	ctx, opened := t.Context(), 0
	made := must[account.Account](t)(w.accounts.Create(ctx, w.owner, account.Settings{Name: "by certificate", Username: "root"}, &account.NewCredential{Kind: account.Made}))
	two := must[safe.Safe](t)(w.safes.ByID(ctx, w.owner, safeNamed(t, w, "two")))
	s := two.Settings
	s.Bindings = append(s.Bindings, safe.Binding{ResourceID: s.Bindings[0].ResourceID, AccountID: made.ID})
	must[safe.Safe](t)(w.safes.Update(ctx, w.owner, two.ID, two.Version, s))
	w.onOpen = func(pam.Binding) {
		if opened++; w.count(audit.BreakGlassKitCreated) != 1 {
			t.Errorf("%d events when a secret was opened", w.count(audit.BreakGlassKitCreated))
		}
	}
	out := must[broker.Kit](t)(w.MakeKit(ctx, w.owner, wantKit))
	k := must[kit.Kit](t)(kit.Parse(out.File))
	entries := must[[]kit.Entry](t)(k.Open(out.Shares[1:]))
	if opened != 2 || len(entries) != 2 || string(entries[0].Value.Expose()) != "s3cret-canary" || string(entries[1].Value.Expose()) != "other-canary" || entries[0].Resources[0].Name != "web" {
		t.Errorf("%d opened, %+v", opened, entries)
	}
	if len(out.LeftOut) != 1 || out.LeftOut[0].ID != made.ID || k.Header.OrgName != "Acme" || k.Header.ID != out.ID {
		t.Errorf("%+v %+v", out.LeftOut, k.Header)
	}
	e := must[[]audit.Event](t)(w.db.Audit().List(ctx, w.owner.Org, audit.Filter{Type: audit.BreakGlassKitCreated, Limit: 10}))[0]
	ids, _ := e.Metadata["account_ids"].([]string)
	versions, _ := e.Metadata["versions"].([]string)
	if len(ids) != 2 || ids[0] != string(w.account.ID) || len(versions) != 2 || versions[0] != string(w.account.ID)+"@1" || e.Metadata["kit_id"] != out.ID || e.Metadata["reason"] != wantKit.Reason {
		t.Errorf("%+v", e.Metadata)
	}
}

func safeNamed(t *testing.T, w *world, slug string) pam.SafeID {
	t.Helper()
	_, id, err := w.Find(t.Context(), w.owner, broker.Want{Safe: slug})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// What was said to be in a kit and could not be sealed is taken back.
func TestKitThatCannotBeMadeIsNotSaidToBe(t *testing.T) {
	w := newWorld(t)
	w.damaged = true
	if out, err := w.MakeKit(t.Context(), w.owner, wantKit); err == nil || out.File != nil || out.Shares != nil {
		t.Errorf("%+v %v", out, err)
	}
	if w.count(audit.BreakGlassKitCreated) != 1 || w.count(audit.CredentialOpenFailed) != 1 || w.count(audit.BreakGlassRefused) != 1 {
		t.Error("the record does not say what happened")
	}
}

// What refuses a checkout refuses a kit, and more does.
func TestKitIsRefusedToWhoeverMayNot(t *testing.T) {
	w := newWorld(t)
	w.onOpen = func(pam.Binding) { t.Error("a secret was opened") }
	ctx, id := t.Context(), safeNamed(t, w, "two")
	as := func(change func(*pam.Actor)) pam.Actor { a := w.owner; change(&a); return a }
	asking := func(change func(*broker.KitWant)) broker.KitWant { k := wantKit; change(&k); return k }
	refused := func(name string, a pam.Actor, want broker.KitWant, kind pam.Kind) {
		t.Helper()
		if out, err := w.MakeKit(ctx, a, want); !pam.Is(err, kind) || out.File != nil || out.Shares != nil {
			t.Errorf("%s: %v, want %v", name, err, kind)
		}
	}
	guest := asking(func(k *broker.KitWant) { k.Safe = string(id) })
	refused("another organization", w.guest, guest, pam.NotFound)
	refused("a stale login", as(func(a *pam.Actor) { a.StepUpAt = time.Now().Add(-time.Hour) }), wantKit, pam.StepUpNeeded)
	refused("a token", as(func(a *pam.Actor) { a.Token, a.Scopes = pam.PersonalToken, []string{"credentials:checkout"} }), wantKit, pam.ScopeMissing)
	refused("dual control", as(func(a *pam.Actor) { a.DualControl = true }), wantKit, pam.Conflict)
	refused("an auditor", as(func(a *pam.Actor) { a.Role = pam.Auditor }), wantKit, pam.Denied)
	refused("no reason", w.owner, asking(func(k *broker.KitWant) { k.Reason = " " }), pam.Invalid)
	refused("one share opens it", w.owner, asking(func(k *broker.KitWant) { k.Threshold = 1 }), pam.Invalid)
	refused("too few shares", w.owner, asking(func(k *broker.KitWant) { k.Threshold = 4 }), pam.Invalid)
	refused("too many shares", w.owner, asking(func(k *broker.KitWant) { k.Shares = 256 }), pam.Invalid)

	change := func(f func(*safe.Settings)) {
		t.Helper()
		s := must[safe.Safe](t)(w.safes.ByID(ctx, w.owner, id))
		f(&s.Settings)
		must[safe.Safe](t)(w.safes.Update(ctx, w.owner, id, s.Version, s.Settings))
	}
	change(func(s *safe.Settings) { s.Checkout.Enabled = false })
	refused("no checkouts", w.owner, wantKit, pam.Denied)
	change(func(s *safe.Settings) { s.Checkout.Enabled, s.Approval = true, "single" })
	refused("no approval", w.owner, wantKit, pam.ApprovalNeeded)
	change(func(s *safe.Settings) { s.Approval = "none" })
	must[safe.Safe](t)(w.safes.Lock(ctx, w.owner, id))
	refused("locked", w.owner, wantKit, pam.Locked)
	must[safe.Safe](t)(w.safes.Unlock(ctx, w.owner, id))
	change(func(s *safe.Settings) { s.Checkout.Exclusive = true })
	w.onOpen = nil
	out, err := w.CheckOut(ctx, w.owner, broker.CheckOutWant{Safe: wantKit.Safe, Account: "root"})
	if err != nil {
		t.Fatal(err)
	}
	out.Value.Wipe()
	w.onOpen = func(pam.Binding) { t.Error("a secret was opened") }
	refused("what somebody has alone", w.owner, wantKit, pam.Conflict)
	w.vault.Lock()
	refused("sealed", w.owner, wantKit, pam.Sealed)
	if n := w.count(audit.BreakGlassRefused); n != 9 {
		t.Errorf("%d refusals on record", n)
	}
	if w.count(audit.BreakGlassKitCreated) != 0 {
		t.Error("a kit is on record")
	}
}
