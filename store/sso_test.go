package store_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/group"
	"vaultpam/pam/identity"
	orgs "vaultpam/pam/org"
	"vaultpam/pam/safe"
	"vaultpam/pam/sso"
)

// event is an entry about nothing, for a change that needs one.
func (w *world) event(t audit.Type, org pam.OrgID) audit.Entry {
	return w.scribe.Entry(pam.Actor{Org: org, Token: pam.SystemToken}, t, audit.Party{}, nil)
}

func (w *world) provider(org pam.OrgID, name string, feeds ...pam.GroupID) sso.Provider {
	p := sso.Provider{
		ID: pam.ProviderID(w.ids.New(pam.PrefixProvider)), Org: org, TrustedAt: w.clock.Now(), Version: 1, CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now(), Sealed: []byte{0, 1}, SecretVersion: 1,
		Settings: sso.Settings{
			Name: name, Kind: sso.KindOIDC, Issuer: "https://idp.test", ClientID: "us", Scopes: []string{"email"}, Domains: []string{}, GroupClaim: "groups", DefaultRole: pam.Operator, Enabled: true,
			Rules: []sso.Rule{{Value: "v", Groups: feeds}},
		},
	}
	if feeds == nil {
		p.Rules = []sso.Rule{}
	}
	return p
}

func TestProvidersAndWhoComesByThem(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, db, now := t.Context(), w.db, w.clock.Now()
		here, there := w.admin.Org, w.stranger.Org
		fed := must[group.Group](t)(w.groups.CreateFed(ctx, w.admin, "Fed"))
		manual := w.team("Manual")
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		p := w.provider(here, "Corp", fed.ID)
		refused(t, db.CreateSSOProvider(ctx, here, w.provider(here, "Bad", manual.ID), sso.Gives{}, w.event(audit.SSOProviderCreated, here)), pam.Invalid)
		check(db.CreateSSOProvider(ctx, here, p, sso.Gives{Groups: p.Feeds()}, w.event(audit.SSOProviderCreated, here)))
		refused(t, db.CreateSSOProvider(ctx, here, w.provider(here, "cORP"), sso.Gives{}, w.event(audit.SSOProviderCreated, here)), pam.Conflict)
		if got := must[sso.Provider](t)(db.SSOProvider(ctx, here, p.ID)); !cmp.Equal(got, p) {
			t.Errorf("read back (-want +got):\n%s", cmp.Diff(p, got))
		}
		_, err := db.SSOProvider(ctx, there, p.ID)
		refused(t, err, pam.NotFound)
		slug := must[orgs.Organization](t)(db.OrganizationByID(ctx, here)).Slug
		if all := must[[]sso.Provider](t)(db.EnabledProviders(ctx, slug)); len(all) != 1 {
			t.Errorf("%d enabled", len(all))
		}

		// A sign-in under way is taken once, by its browser, in its time.
		state, browser := sha256.Sum256([]byte("state")), sha256.Sum256([]byte("browser"))
		a := sso.Attempt{State: state, Browser: browser, Org: here, Provider: p.ID, Fresh: true, CreatedAt: now, ExpiresAt: now.Add(sso.AttemptTTL)}
		check(db.CreateAttempt(ctx, a, 1))
		refused(t, db.CreateAttempt(ctx, sso.Attempt{State: browser, Browser: browser, Org: here, Provider: p.ID, CreatedAt: now, ExpiresAt: now.Add(time.Minute)}, 1), pam.Unavailable)
		for _, wrong := range []func() error{
			func() error { _, err := db.TakeAttempt(ctx, state, state, p.ID, now); return err },
			func() error { _, err := db.TakeAttempt(ctx, state, browser, "sso_other", now); return err },
			func() error { _, err := db.TakeAttempt(ctx, state, browser, p.ID, now.Add(sso.AttemptTTL)); return err },
		} {
			refused(t, wrong(), pam.NotFound)
		}
		if got := must[sso.Attempt](t)(db.TakeAttempt(ctx, state, browser, p.ID, now)); got.Org != here || !got.Fresh {
			t.Errorf("%+v", got)
		}
		_, err = db.TakeAttempt(ctx, state, browser, p.ID, now)
		refused(t, err, pam.NotFound)

		// Somebody new, then again with another role and without the group.
		id := sso.Identity{ID: pam.IdentityID(w.ids.New(pam.PrefixIdentity)), Org: here, Issuer: p.Issuer, Subject: "s", User: pam.UserID(w.ids.New(pam.PrefixUser)), Email: "s@idp.test", LinkedBy: sso.ByCreated}
		arrive := func(a sso.Arrival) error {
			a.At, a.Provider = now, p.ID
			if a.Version == 0 {
				a.Version = must[sso.Provider](t)(db.SSOProvider(ctx, here, p.ID)).Version
			}
			return db.Arrive(ctx, here, a, w.event(audit.SSOIdentityLinked, here))
		}
		check(arrive(sso.Arrival{Identity: id, New: true, Person: &sso.NewUser{Email: "s@idp.test", Name: "S"}, Role: pam.Operator, Join: []pam.GroupID{fed.ID, manual.ID}}))
		refused(t, arrive(sso.Arrival{Identity: id, New: true, Person: &sso.NewUser{Email: "s@idp.test", Name: "S"}, Role: pam.Operator}), pam.Conflict)
		// Not by the word of whoever it was before an administrator changed that.
		refused(t, arrive(sso.Arrival{Identity: id, Version: 7}), pam.Conflict)
		who := must[sso.Person](t)(db.PersonByEmail(ctx, here, "s@idp.test"))
		if want := (sso.Person{User: id.User, Email: "s@idp.test", Home: here, Role: pam.Operator, Active: true, SignsIn: true}); who != want {
			t.Errorf("%+v", who)
		}
		if in := must[[]pam.GroupID](t)(db.GroupsAmong(ctx, here, id.User, []pam.GroupID{fed.ID, manual.ID})); !cmp.Equal(in, []pam.GroupID{fed.ID}) {
			t.Errorf("in %v", in) // nobody comes into a group that others fill
		}
		if outside := must[sso.Person](t)(db.Person(ctx, there, id.User)); outside.Role != "" || outside.Active {
			t.Errorf("elsewhere: %+v", outside)
		}
		second := id
		second.ID, second.Subject = pam.IdentityID(w.ids.New(pam.PrefixIdentity)), "s2"
		refused(t, arrive(sso.Arrival{Identity: second, New: true}), pam.Conflict) // one subject for each person
		refused(t, arrive(sso.Arrival{Identity: id, Role: pam.Admin, RoleWas: pam.Auditor}), pam.Conflict)
		check(arrive(sso.Arrival{Identity: id, Role: pam.Admin, RoleWas: pam.Operator}))
		if got := must[sso.Identity](t)(db.IdentityOf(ctx, here, p.Issuer, id.User)); got.ID != id.ID || got.Subject != "s" {
			t.Errorf("%+v", got)
		}
		_, err = db.Identity(ctx, there, p.Issuer, "s")
		refused(t, err, pam.NotFound)

		// Roles in Safes, by what a manager has said since.
		s := w.safe(w.admin, "S")
		m := w.member(w.admin, s.ID, pam.Actor{User: id.User, Org: here, Role: pam.Admin}, pam.SafeOperator)
		held := func(at time.Time) bool { return must[bool](t)(db.HeldBefore(ctx, here, id.User, at)) }
		if held(now) || !held(now.Add(time.Second)) || must[bool](t)(db.HeldBefore(ctx, there, id.User, now.Add(time.Hour))) {
			t.Error("a role is held from another time than it was given")
		}
		w.clock.Advance(time.Minute)
		must[safe.Member](t)(w.safes.UpdateMember(ctx, w.admin, s.ID, m.ID, pam.SafeOperator, time.Time{}))
		if held(now.Add(time.Second)) {
			t.Error("confirmed, and still from before")
		}

		// A login that rests on it, and a program's that rests on that.
		login := identity.Login{
			ID: pam.LoginID(w.ids.New(pam.PrefixLogin)), User: id.User, TokenHash: sha256.Sum256([]byte("t")), Purpose: identity.Console, CreatedAt: now, ExpiresAt: now.Add(time.Hour), StepUpAt: now, UsedAt: now,
			Vouched: identity.Vouched{Only: here, Provider: p.ID, Identity: id.ID, SecondFactor: true},
		}
		stranger := login
		stranger.ID, stranger.TokenHash, stranger.User = "lgn_x", sha256.Sum256([]byte("x")), w.operator.User
		refused(t, db.CreateLogin(ctx, stranger, w.event(audit.LoginSucceeded, here)), pam.Unauthenticated)
		check(db.CreateLogin(ctx, login, w.event(audit.LoginSucceeded, here)))
		if h := must[identity.Holder](t)(db.HolderByToken(ctx, login.TokenHash)); h.Login.Vouched != login.Vouched {
			t.Errorf("%+v", h.Login.Vouched)
		}
		d := identity.Device{ID: pam.LoginID(w.ids.New(pam.PrefixLogin)), CodeHash: sha256.Sum256([]byte("d")), UserCode: "BCDFGHJK", Status: identity.DevicePending, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		check(db.CreateDevice(ctx, d, 10))
		d.Status, d.User, d.ApprovedBy = identity.DeviceApproved, id.User, login.ID
		check(db.DecideDevice(ctx, d, now, w.event(audit.DeviceLoginApproved, here)))
		if got := must[identity.Device](t)(db.DeviceByCode(ctx, d.CodeHash, now)); got.Vouched != login.Vouched {
			t.Errorf("%+v", got.Vouched)
		}

		// Whoever is not fed any more is not in the group, and the door stays.
		check(db.SetSSOOnly(ctx, here, true, w.event(audit.SSOSettingsUpdated, here)))
		if only := must[bool](t)(db.SSOOnly(ctx, here)); !only || must[bool](t)(db.SSOOnly(ctx, there)) {
			t.Error("set for the wrong organization")
		}
		refused(t, db.SetSSOOnly(ctx, there, true, w.event(audit.SSOSettingsUpdated, there)), pam.Conflict)
		refused(t, db.DeleteSSOProvider(ctx, here, p.ID, 1, w.event(audit.SSOProviderDeleted, here)), pam.Conflict)
		check(db.SetSSOOnly(ctx, here, false, w.event(audit.SSOSettingsUpdated, here)))
		next := p
		next.Version, next.Rules = 2, []sso.Rule{}
		refused(t, db.UpdateSSOProvider(ctx, here, next, 7, sso.Gives{}, false, w.event(audit.SSOProviderUpdated, here)), pam.Precondition)
		check(db.UpdateSSOProvider(ctx, here, next, 1, sso.Gives{}, false, w.event(audit.SSOProviderUpdated, here)))
		if in := must[[]pam.GroupID](t)(db.GroupsAmong(ctx, here, id.User, []pam.GroupID{fed.ID})); len(in) != 0 {
			t.Error("still in a group that nobody feeds")
		}
		refused(t, db.Unlink(ctx, there, id.ID, id.User, w.event(audit.SSOIdentityUnlinked, there)), pam.NotFound)
		refused(t, db.DeleteSSOProvider(ctx, there, p.ID, 2, w.event(audit.SSOProviderDeleted, there)), pam.NotFound)
		check(db.Unlink(ctx, here, id.ID, id.User, w.event(audit.SSOIdentityUnlinked, here)))
		_, err = db.HolderByToken(ctx, login.TokenHash)
		refused(t, err, pam.NotFound)
		_, err = db.DeviceByCode(ctx, d.CodeHash, now)
		refused(t, err, pam.NotFound)
		check(db.DeleteSSOProvider(ctx, here, p.ID, 2, w.event(audit.SSOProviderDeleted, here)))
	})
}

func TestRulesOfWorkloadsLendServiceUsersAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, db, now := t.Context(), w.db, w.clock.Now()
		here, there := w.admin.Org, w.stranger.Org
		bot := pam.UserID(w.ids.New(pam.PrefixUser))
		if err := db.AddOrgMember(ctx, here, orgs.Member{User: bot, Role: pam.Operator, Status: orgs.Active, JoinedAt: now},
			&orgs.NewUser{ID: bot, Email: strings.ToLower(string(bot)) + "@bot.test", HomeOrg: here, Machine: true, CreatedAt: now}, w.event(audit.MemberAdded, here)); err != nil {
			t.Fatal(err)
		}
		if m := must[orgs.Member](t)(db.OrgMember(ctx, here, bot)); !m.Machine {
			t.Errorf("%+v", m)
		}
		r := sso.WorkloadRule{
			ID: pam.WorkloadRuleID(w.ids.New(pam.PrefixWorkloadRule)), Org: here, Version: 1, CreatedAt: now, UpdatedAt: now,
			WorkloadSettings: sso.WorkloadSettings{Name: "CI", Issuer: "https://ci.test", Conditions: []sso.Condition{{Claim: "sub", Value: "x"}}, User: bot, Scopes: []string{"safes:read"}, TTL: time.Minute, Enabled: true},
		}
		person := r
		person.User = w.operator.User
		refused(t, db.CreateWorkloadRule(ctx, here, person, sso.Gives{User: person.User}, w.event(audit.WorkloadRuleCreated, here)), pam.Invalid)
		refused(t, db.CreateWorkloadRule(ctx, there, r, sso.Gives{User: bot}, w.event(audit.WorkloadRuleCreated, there)), pam.Invalid)
		if err := db.CreateWorkloadRule(ctx, here, r, sso.Gives{User: bot}, w.event(audit.WorkloadRuleCreated, here)); err != nil {
			t.Fatal(err)
		}
		if got := must[sso.WorkloadRule](t)(db.WorkloadRule(ctx, here, r.ID)); !cmp.Equal(got, r) {
			t.Errorf("read back (-want +got):\n%s", cmp.Diff(r, got))
		}
		if id, rules, err := db.RulesOfIssuer(ctx, string(here), r.Issuer); err != nil || id != here || len(rules) != 1 {
			t.Errorf("%s, %d, %v", id, len(rules), err)
		}
		if _, rules, err := db.RulesOfIssuer(ctx, string(there), r.Issuer); err != nil || len(rules) != 0 {
			t.Errorf("elsewhere: %d, %v", len(rules), err)
		}
		// What it gives may have changed since it was decided.
		s := w.safe(w.admin, "S")
		w.member(w.admin, s.ID, pam.Actor{User: bot, Org: here, Role: pam.Operator}, pam.SafeOperator)
		next := r
		next.Version = 2
		refused(t, db.UpdateWorkloadRule(ctx, here, next, 1, sso.Gives{User: bot}, w.event(audit.WorkloadRuleUpdated, here)), pam.Conflict)
		token := func(n string, version int64) error {
			return db.CreateWorkloadToken(ctx, identity.AccessToken{
				ID: pam.TokenID(w.ids.New(pam.PrefixToken)), Org: here, User: bot, Name: n, Scopes: r.Scopes, TokenHash: sha256.Sum256([]byte(n)), CreatedAt: now, ExpiresAt: now.Add(time.Minute), Workload: r.ID,
			}, version, 2, w.event(audit.WorkloadTokenIssued, here))
		}
		refused(t, token("old", 9), pam.AuthFailed)
		for _, n := range []string{"a", "b"} {
			if err := token(n, 1); err != nil {
				t.Fatal(err)
			}
		}
		refused(t, token("c", 1), pam.TooMany)
		if err := db.UpdateWorkloadRule(ctx, here, next, 1, sso.Gives{User: bot, Safes: []pam.SafeID{s.ID}}, w.event(audit.WorkloadRuleUpdated, here)); err != nil {
			t.Fatal(err)
		}
		_, err := db.HolderByToken(ctx, sha256.Sum256([]byte("a")))
		refused(t, err, pam.NotFound)
		refused(t, db.DeleteWorkloadRule(ctx, there, r.ID, 2, w.event(audit.WorkloadRuleDeleted, there)), pam.NotFound)
		if err := db.DeleteWorkloadRule(ctx, here, r.ID, 2, w.event(audit.WorkloadRuleDeleted, here)); err != nil {
			t.Fatal(err)
		}
	})
}
