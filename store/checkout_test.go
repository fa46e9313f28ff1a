package store_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
	"vaultpam/pam/group"
	"vaultpam/pam/policy"
	"vaultpam/pam/resource"
	"vaultpam/pam/rotation"
	"vaultpam/pam/rulebook"
	"vaultpam/pam/safe"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

// shown is a Safe that reveals an account, and takes it back with rotation.
func (w *world) shown(rules safe.Rotation) (safe.Safe, account.Account) {
	w.t.Helper()
	ctx := w.t.Context()
	r := must[resource.Resource](w.t)(w.resources.Create(ctx, w.owner, resource.Settings{Name: "web", Type: pam.SSH, Host: "192.0.2.1"}))
	a := must[account.Account](w.t)(w.accounts.Create(ctx, w.owner, account.Settings{Name: "root", Username: "root", ResourceID: r.ID}, nil))
	s := must[safe.Safe](w.t)(w.safes.Create(ctx, w.owner, safe.Settings{
		Name: "Web", Bindings: []safe.Binding{{ResourceID: r.ID, AccountID: a.ID}}, Checkout: safe.Checkout{Enabled: true}, Rotation: rules,
	}))
	return s, a
}

func (w *world) taking(a pam.Actor, s safe.Safe, acc account.Account, alone bool) checkout.Checkout {
	now := w.clock.Now()
	return checkout.Checkout{
		ID: pam.CheckoutID(w.ids.New(pam.PrefixCheckout)), Org: a.Org, Safe: s.ID, Account: acc.ID, User: a.User, Username: acc.Username, Status: checkout.CheckedOut,
		Version: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour), Exclusive: alone, ClientIP: a.From.String(),
	}
}

func (w *world) takes(a pam.Actor, s safe.Safe, acc account.Account, alone bool) (checkout.Checkout, error) {
	c := w.taking(a, s, acc, alone)
	return c, w.db.CreateCheckout(w.t.Context(), a.Org, c, nil, storetest.Entry(a.Org, audit.CredentialCheckedOut))
}

func TestOfCheckoutsAtTheSameTimeOneWinsWhereOneIsExclusive(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, acc := w.shown(safe.Rotation{})
		for round := range 5 {
			var wg sync.WaitGroup
			var mu sync.Mutex
			var won []pam.CheckoutID
			for range 8 {
				wg.Go(func() {
					c, err := w.takes(w.owner, s, acc, true)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						won = append(won, c.ID)
					} else if !pam.Is(err, pam.Conflict) {
						t.Errorf("a loser is told: %v", err)
					}
				})
			}
			wg.Wait()
			if len(won) != 1 {
				t.Fatalf("round %d: %d have it", round, len(won))
			}
			if _, err := w.takes(w.owner, s, acc, false); !pam.Is(err, pam.Conflict) {
				t.Errorf("shared beside exclusive: %v", err)
			}
			must[checkout.Checkout](t)(w.checkouts.CheckIn(t.Context(), w.owner, won[0]))
		}
		if _, err := w.takes(w.owner, s, acc, false); err != nil {
			t.Fatal(err)
		}
		if _, err := w.takes(w.owner, s, acc, false); err != nil {
			t.Errorf("shared beside shared: %v", err)
		}
		if _, err := w.takes(w.owner, s, acc, true); !pam.Is(err, pam.Conflict) {
			t.Errorf("exclusive beside shared: %v", err)
		}
	})
}

// Shared and exclusive ones, and kits, at the same time: whoever has the secret
// alone has it alone, in any order.
func TestNobodySharesWhatSomebodyHasAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, acc := w.shown(safe.Rotation{})
		for round := range 10 {
			var wg sync.WaitGroup
			var mu sync.Mutex
			var shared, alone []pam.CheckoutID
			kits := 0
			for i := range 9 {
				wg.Go(func() {
					var c checkout.Checkout
					var err error
					if i%3 == 2 {
						err = w.db.RecordKit(t.Context(), acc.Org, []pam.AccountID{acc.ID}, storetest.Entry(acc.Org, audit.BreakGlassKitCreated))
					} else {
						c, err = w.takes(w.owner, s, acc, i%3 == 1)
					}
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err != nil:
						if !pam.Is(err, pam.Conflict) {
							t.Errorf("a loser is told: %v", err)
						}
					case i%3 == 2:
						kits++
					case c.Exclusive:
						alone = append(alone, c.ID)
					default:
						shared = append(shared, c.ID)
					}
				})
			}
			wg.Wait()
			if len(alone) > 1 || len(alone) == 1 && len(shared) > 0 || len(alone) == 0 && (len(shared) != 3 || kits != 3) {
				t.Fatalf("round %d: %d alone, %d shared, %d kits", round, len(alone), len(shared), kits)
			}
			if len(alone) == 1 {
				// What came before it in the log is no matter; after it there is no kit.
				log := must[[]audit.Event](t)(w.db.Audit().List(t.Context(), w.owner.Org, audit.Filter{Limit: 20}))
				newest := func(typ audit.Type) int {
					return slices.IndexFunc(log, func(e audit.Event) bool { return e.Type == typ })
				}
				if kit := newest(audit.BreakGlassKitCreated); kit >= 0 && kit < newest(audit.CredentialCheckedOut) {
					t.Fatalf("round %d: a kit is on record after the exclusive checkout", round)
				}
				before := w.countEvents(audit.BreakGlassKitCreated)
				err := w.db.RecordKit(t.Context(), acc.Org, []pam.AccountID{acc.ID}, storetest.Entry(acc.Org, audit.BreakGlassKitCreated))
				if !pam.Is(err, pam.Conflict) || w.countEvents(audit.BreakGlassKitCreated) != before {
					t.Errorf("a kit beside an exclusive checkout: %v", err)
				}
			}
			for _, id := range slices.Concat(alone, shared) {
				must[checkout.Checkout](t)(w.checkouts.CheckIn(t.Context(), w.owner, id))
			}
		}
		refused(t, w.db.RecordKit(t.Context(), w.stranger.Org, []pam.AccountID{acc.ID}), pam.NotFound)
	})
}

// While a reveal is under way, a rotation goes on and an exclusive checkout of
// what is out is refused; neither waits for its end. On SQLite all wait.
func TestRevealsHoldNoRotationUp(t *testing.T) {
	w := newWorld(t, storetest.Open(t, store.Options{DatabaseURL: storetest.Postgres(t)}))
	s, acc := w.shown(safe.Rotation{})
	must[checkout.Checkout](t)(w.takes(w.owner, s, acc, false))
	began, over := make(chan struct{}), make(chan struct{})
	var reveal sync.WaitGroup
	reveal.Go(func() {
		var once sync.Once
		begin := func() { once.Do(func() { close(began) }) }
		defer begin()
		if err := w.db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			if err := tx.ShareAccount(ctx, acc.Org, acc.ID); err != nil {
				return err
			}
			begin()
			<-over
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-began
	// What waits fails by the database's own limit, of half a minute.
	if err := w.db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE accounts SET promoted = 1, working = 1, version = version + 1 WHERE org_id = ? AND account_id = ?`, acc.Org, acc.ID)
		return err
	}); err != nil {
		t.Errorf("what a rotation writes: %v", err)
	}
	if _, err := w.takes(w.owner, s, acc, true); !pam.Is(err, pam.Conflict) {
		t.Errorf("an exclusive checkout of what is out: %v", err)
	}
	close(over)
	reveal.Wait()
}

// due lists the rotations that are asked for.
func (w *world) due() []rotation.Due {
	w.t.Helper()
	return must[[]rotation.Due](w.t)(w.db.DueRotations(w.t.Context(), w.clock.Now(), 1000))
}

// recalls looks once at the checkouts that are out, as the server's jobs do.
func (w *world) recalls() {
	w.t.Helper()
	if err := w.checkouts.EndDue(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.broker.Recall(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// resting is somebody's checkout, and what it rests on.
type resting struct {
	*world
	s   safe.Safe
	acc account.Account
	who pam.Actor
	m   safe.Member // who's
	out checkout.Checkout

	granted pam.GrantID // for grants
}

// change edits the Safe.
func (r *resting) change(edit func(*safe.Settings)) {
	r.t.Helper()
	in := must[safe.Safe](r.t)(r.safes.ByID(r.t.Context(), r.owner, r.s.ID)).Settings
	edit(&in)
	must[safe.Safe](r.t)(r.safes.Update(r.t.Context(), r.owner, r.s.ID, 0, in))
}

// rule lets a policy count at the Safe.
func (r *resting) rule(p rulebook.Settings) rulebook.Policy {
	r.t.Helper()
	p.Name, p.SafeIDs = string(r.s.ID), []pam.SafeID{r.s.ID}
	out := must[rulebook.Policy](r.t)(r.policies.Create(r.t.Context(), r.owner, p))
	return must[rulebook.Policy](r.t)(r.policies.Activate(r.t.Context(), r.owner, out.ID, 0))
}

// grants gives them a grant for the Safe.
func (r *resting) grants(approvers int) {
	now, id := r.clock.Now(), r.granted
	r.sql(`INSERT INTO access_requests (org_id, request_id, user_id, email, safe_id, safe_name, reason, ticket, seconds, command, command_hash, status, approvers, granted, grant_id, created_at, expires_at, ended_at)
		VALUES (?, ?, ?, '', ?, '', '', '', 7200, '', '', 'approved', ?, 7200, ?, ?, ?, 0)`, r.owner.Org, "req_"+id, r.who.User, r.s.ID, approvers, id, now.UnixMicro(), now.UnixMicro())
	r.sql(`INSERT INTO grants (org_id, grant_id, request_id, user_id, email, safe_id, safe_name, approvers, starts_at, ends_at, command_hash, session_id, status, ended_at, ended_by)
		VALUES (?, ?, ?, ?, '', ?, '', ?, ?, ?, '', '', 'active', 0, '')`, r.owner.Org, id, "req_"+id, r.who.User, r.s.ID, approvers, now.UnixMicro(), now.Add(2*time.Hour).UnixMicro())
}

// around are the hours from two hours before at to two hours after it.
func around(at time.Time) *policy.Hours {
	text := func(t time.Time) string { return t.UTC().Format("15:04") }
	return &policy.Hours{TimeZone: "UTC", Windows: []policy.Window{{Days: []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, From: text(at.Add(-2 * time.Hour)), To: text(at.Add(2 * time.Hour))}}}
}

func TestCheckoutEndsWithWhatItRestsOn(t *testing.T) {
	elsewhere := policy.Conditions{SourceIPs: []string{"203.0.113.0/24"}}
	here := policy.Conditions{SourceIPs: []string{"192.0.2.0/24"}}
	inWorld(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			end func(r *resting)
			why checkout.Cause // "" : it goes on
			out func(r *resting)
		}{
			"nothing":    {end: func(*resting) {}},
			"time":       {end: func(r *resting) { r.clock.Advance(time.Hour) }, why: checkout.TimeOver},
			"suspension": {end: func(r *resting) { r.suspend(r.who) }, why: checkout.MembershipEnded},
			"lock":       {end: func(r *resting) { must[safe.Safe](r.t)(r.safes.Lock(r.t.Context(), r.owner, r.s.ID)) }, why: checkout.SafeLocked},
			"removal": {end: func(r *resting) {
				if err := r.safes.RemoveMember(r.t.Context(), r.owner, r.s.ID, r.m.ID); err != nil {
					r.t.Fatal(err)
				}
			}, why: checkout.AccessRemoved},
			"only viewer": {end: func(r *resting) {
				must[safe.Member](r.t)(r.safes.UpdateMember(r.t.Context(), r.owner, r.s.ID, r.m.ID, pam.SafeViewer, time.Time{}))
			}, why: checkout.AccessRemoved},
			"a role that ends": {end: func(r *resting) {
				must[safe.Member](r.t)(r.safes.UpdateMember(r.t.Context(), r.owner, r.s.ID, r.m.ID, pam.SafeOperator, r.clock.Now().Add(time.Minute)))
				r.clock.Advance(2 * time.Minute)
			}, why: checkout.AccessRemoved},
			"auditor":      {end: func(r *resting) { r.sql(`UPDATE memberships SET role = 'auditor' WHERE user_id = ?`, r.who.User) }, why: checkout.AccessRemoved},
			"unbinding":    {end: func(r *resting) { r.change(func(s *safe.Settings) { s.Bindings = nil }) }, why: checkout.BindingRemoved},
			"checkout off": {end: func(r *resting) { r.change(func(s *safe.Settings) { s.Checkout.Enabled = false }) }, why: checkout.SwitchedOff},
			"another name": {end: func(r *resting) { r.change(func(s *safe.Settings) { s.Name = "Other" }) }},
			"step-up":      {end: func(r *resting) { r.change(func(s *safe.Settings) { s.MFAStepUp = true }) }},
			"hours that are not now": {end: func(r *resting) {
				r.change(func(s *safe.Settings) { s.ValidHours = around(r.clock.Now().Add(12 * time.Hour)) })
			}, why: checkout.HoursOver},
			"hours that are now": {end: func(r *resting) { r.change(func(s *safe.Settings) { s.ValidHours = around(r.clock.Now()) }) }},
			"hours that end": {end: func(r *resting) {
				r.change(func(s *safe.Settings) { s.ValidHours = around(r.clock.Now().Add(-119 * time.Minute)) })
				r.recalls()
				r.clock.Advance(2 * time.Minute)
			}, why: checkout.HoursOver},
			"expiry": {end: func(r *resting) {
				at := r.clock.Now().Add(time.Minute)
				r.change(func(s *safe.Settings) { s.CredentialExpiresAt = &at })
				r.recalls()
				r.clock.Advance(time.Minute)
			}, why: checkout.CredentialExpired},
			"an approval": {end: func(r *resting) { r.change(func(s *safe.Settings) { s.Approval = "single" }) }, why: checkout.ApprovalNeeded},
			"a refusal":   {end: func(r *resting) { r.rule(rulebook.Settings{Action: policy.Deny}) }, why: checkout.PolicyDenied},
			"a refusal of him": {end: func(r *resting) {
				r.rule(rulebook.Settings{Action: policy.Deny, Conditions: policy.Conditions{UserIDs: []pam.UserID{r.who.User}}})
			}, why: checkout.PolicyDenied},
			"a refusal of others": {end: func(r *resting) {
				r.rule(rulebook.Settings{Action: policy.Deny, Conditions: policy.Conditions{UserIDs: []pam.UserID{r.admin.User}}})
			}},
			"a refusal elsewhere":       {end: func(r *resting) { r.rule(rulebook.Settings{Action: policy.Deny, Conditions: elsewhere}) }},
			"an allowance of elsewhere": {end: func(r *resting) { r.rule(rulebook.Settings{Action: policy.Allow, Conditions: elsewhere}) }, why: checkout.PolicyDenied},
			"an allowance of here":      {end: func(r *resting) { r.rule(rulebook.Settings{Action: policy.Allow, Conditions: here}) }},
			"an allowance of a group": {end: func(r *resting) {
				g := must[group.Group](r.t)(r.groups.Create(r.t.Context(), r.owner, string(r.s.ID), nil))
				r.rule(rulebook.Settings{Action: policy.Allow, Conditions: policy.Conditions{GroupIDs: []pam.GroupID{g.ID}}})
			}, why: checkout.PolicyDenied},
			"an allowance of his group": {end: func(r *resting) {
				g := must[group.Group](r.t)(r.groups.Create(r.t.Context(), r.owner, string(r.s.ID), []pam.UserID{r.who.User}))
				r.rule(rulebook.Settings{Action: policy.Allow, Conditions: policy.Conditions{GroupIDs: []pam.GroupID{g.ID}}})
			}},
			"an allowance of this type": {end: func(r *resting) {
				r.rule(rulebook.Settings{Action: policy.Allow, Conditions: policy.Conditions{ResourceTypes: []pam.Protocol{pam.SSH}}})
			}},
			"an allowance of another type": {end: func(r *resting) {
				r.rule(rulebook.Settings{Action: policy.Allow, Conditions: policy.Conditions{ResourceTypes: []pam.Protocol{pam.MySQL}}})
			}, why: checkout.PolicyDenied},
			"an allowance with a factor": {end: func(r *resting) {
				r.rule(rulebook.Settings{Action: policy.Allow, Conditions: policy.Conditions{MFARequired: true}})
			}},
			"a policy that asks": {end: func(r *resting) {
				r.rule(rulebook.Settings{Action: policy.RequireApproval, JIT: &policy.JIT{Approvers: 2}})
			}, why: checkout.ApprovalNeeded},
			"a policy that asks and is answered": {end: func(r *resting) {
				r.grants(2)
				r.rule(rulebook.Settings{Action: policy.RequireApproval, JIT: &policy.JIT{Approvers: 2}})
			}},
			"its grant": {
				out: func(r *resting) { r.grants(1); r.out.Grant = r.granted },
				end: func(r *resting) { r.sql(`UPDATE grants SET status = 'revoked' WHERE grant_id = ?`, r.granted) }, why: checkout.GrantEnded,
			},
			"its grant instead of a role": {
				out: func(r *resting) { r.grants(1); r.out.Grant = r.granted },
				end: func(r *resting) {
					if err := r.safes.RemoveMember(r.t.Context(), r.owner, r.s.ID, r.m.ID); err != nil {
						r.t.Fatal(err)
					}
				},
			},
			"its session": {out: func(r *resting) { r.out.Session = "ses_gone" }, end: func(*resting) {}, why: checkout.SessionEnded},
			"an emergency and its name": {
				out: func(r *resting) {
					r.change(func(s *safe.Settings) { s.BreakGlass.UserIDs = []pam.UserID{r.who.User} })
					r.out.Emergency = true
				},
				end: func(r *resting) {
					r.change(func(s *safe.Settings) { s.Approval = "dual" })
					r.recalls()
					if r.now().Cause != "" {
						r.t.Error("an emergency needs no approval")
					}
					r.change(func(s *safe.Settings) { s.BreakGlass.UserIDs = nil })
				},
				why: checkout.AccessRemoved,
			},
			"an emergency and a refusal": {
				out: func(r *resting) {
					r.change(func(s *safe.Settings) { s.BreakGlass.UserIDs = []pam.UserID{r.who.User} })
					r.out.Emergency = true
				},
				end: func(r *resting) { r.rule(rulebook.Settings{Action: policy.Deny}) }, why: checkout.PolicyDenied,
			},
			"an address that is not known": {
				out: func(r *resting) { r.out.ClientIP = "" },
				end: func(r *resting) { r.rule(rulebook.Settings{Action: policy.Allow, Conditions: here}) }, why: checkout.PolicyDenied,
			},
		} {
			t.Run(name, func(t *testing.T) {
				w.t, w.owner.StepUpAt = t, w.clock.Now()
				r := &resting{world: w, who: w.person(w.owner.Org, pam.Operator), granted: pam.GrantID(w.ids.New(pam.PrefixGrant))}
				r.s, r.acc = w.shown(safe.Rotation{AfterCheckIn: true})
				r.m = must[safe.Member](t)(w.safes.AddMember(t.Context(), w.owner, r.s.ID, safe.NewMember{User: r.who.User, Role: pam.SafeOperator}))
				r.out = w.taking(r.who, r.s, r.acc, true)
				if c.out != nil {
					c.out(r)
				}
				if err := w.db.CreateCheckout(t.Context(), w.owner.Org, r.out, nil, storetest.Entry(w.owner.Org, audit.CredentialCheckedOut)); err != nil {
					t.Fatal(err)
				}
				if r.out.Session == "" {
					if w.recalls(); r.now().Cause != "" {
						t.Fatal("it ended before its time")
					}
				}
				c.end(r)
				w.recalls()
				got := r.now()
				if got.Cause != c.why || (got.Status == checkout.Available) != (c.why != "") {
					t.Errorf("%s, because of %q", got.Status, got.Cause)
				}
				// Who unbound the account took its Safe's rule away as well.
				want := rotation.AfterCheckIn
				switch {
				case c.why == "" || c.why == checkout.BindingRemoved:
					want = ""
				case r.out.Emergency:
					want = rotation.BreakGlass
				}
				var due rotation.Trigger
				for _, d := range w.due() {
					if d.Account == r.acc.ID {
						due = d.Trigger
					}
				}
				if due != want {
					t.Errorf("a rotation is asked for by %q", due)
				}
				if causes := r.ends(); c.why != "" && !slices.Equal(causes, []string{string(c.why)}) || c.why == "" && len(causes) != 0 {
					t.Errorf("on record: %v", causes)
				}
				if w.recalls(); c.why != "" && len(r.ends()) != 1 {
					t.Errorf("it ended %d times", len(r.ends()))
				}
				w.sql(`UPDATE checkouts SET status = 'available' WHERE status = 'checked_out'`) // for the next
			})
		}
	})
}

// now is the checkout as it is stored.
func (r *resting) now() checkout.Checkout {
	r.t.Helper()
	return must[checkout.Checkout](r.t)(r.db.CheckoutByID(r.t.Context(), r.owner.Org, r.out.ID))
}

// ends are the causes of its check-ins on record.
func (r *resting) ends() (causes []string) {
	r.t.Helper()
	for _, e := range must[[]audit.Event](r.t)(r.db.Audit().List(r.t.Context(), r.owner.Org, audit.Filter{Type: audit.CredentialCheckedIn, Limit: 1000})) {
		if e.Metadata["checkout_id"] == string(r.out.ID) {
			causes = append(causes, e.Metadata["cause"].(string))
		}
	}
	return causes
}

func TestExtensionsOfOneReadingCountOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, acc := w.shown(safe.Rotation{})
		c, err := w.takes(w.owner, s, acc, false)
		if err != nil {
			t.Fatal(err)
		}
		extend := func() error {
			return w.db.ExtendCheckout(t.Context(), w.owner.Org, c, c.ExpiresAt.Add(time.Minute), storetest.Entry(w.owner.Org, audit.CredentialCheckoutExtended))
		}
		if err := extend(); err != nil {
			t.Fatal(err)
		}
		if err := extend(); !pam.Is(err, pam.Conflict) {
			t.Errorf("a second one of the same reading: %v", err)
		}
	})
}
