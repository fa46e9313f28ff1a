package org_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/org"
)

// Settings that decide on everybody's security are the owner's alone, who has
// just signed in; a token never has.
func TestSecurityIsTheOwnersAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		stale, robot := w.owner, w.owner
		stale.StepUpAt = w.clock.Now().Add(-pam.StepUpLifetime)
		robot.Token = pam.PersonalToken
		people := map[pam.Role]pam.Actor{}
		for _, role := range pam.Roles {
			people[role] = w.signIn(w.new(w.owner, role).Email, "")
		}
		update := func(a pam.Actor, change func(*org.Settings)) error {
			t.Helper()
			o := must[org.Organization](t)(w.db.OrganizationByID(ctx, w.owner.Org))
			change(&o.Settings)
			_, err := w.Update(ctx, a, o.Name, o.Slug, o.Settings, o.Version)
			return err
		}
		for what, change := range map[string]func(*org.Settings){
			"admins_see_all":   func(s *org.Settings) { s.AdminsSeeAll = !s.AdminsSeeAll },
			"dual_control":     func(s *org.Settings) { s.DualControl = !s.DualControl },
			"anonymous_shares": func(s *org.Settings) { s.AnonymousShares = !s.AnonymousShares },
			"mfa_required":     func(s *org.Settings) { s.MFARequired = !s.MFARequired },
		} {
			for role, a := range people {
				if role != pam.Owner {
					refused(t, what+" by "+string(role), update(a, change), pam.Denied)
				}
			}
			refused(t, what+" after a while", update(stale, change), pam.StepUpNeeded)
			refused(t, what+" by a token", update(robot, change), pam.StepUpNeeded)
			for range 2 { // on and off again: to weaken asks for as much
				if err := update(people[pam.Owner], change); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		for role, a := range people {
			err := update(a, func(s *org.Settings) { s.IdleTimeoutSeconds++ })
			if role == pam.Owner || role == pam.Admin {
				if err != nil {
					t.Errorf("%s: %v", role, err)
				}
			} else {
				refused(t, "idle timeout by "+string(role), err, pam.Denied)
			}
		}
		if n := len(w.events(w.owner.Org, audit.OrganizationUpdated)); n != 10 {
			t.Errorf("%d events", n)
		}
	})
}

func TestSettingsAreWithinBoundsAndChangedOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		old := must[org.Organization](t)(w.Get(ctx, w.owner))
		for want, change := range map[string]func(*org.Organization){
			"name":                      func(o *org.Organization) { o.Name = "Works\u202e" },
			"slug":                      func(o *org.Organization) { o.Slug = "../works" },
			"idle_timeout_seconds":      func(o *org.Organization) { o.Settings.IdleTimeoutSeconds = 9 },
			"recording_retention_days":  func(o *org.Organization) { o.Settings.RecordingRetentionDays = 6 },
			"request_timeout_seconds":   func(o *org.Organization) { o.Settings.RequestTimeoutSeconds = 1 << 40 },
			"approval_cooldown_seconds": func(o *org.Organization) { o.Settings.ApprovalCooldownSeconds = -1 },
		} {
			o := old
			change(&o)
			if _, err := w.Update(ctx, w.owner, o.Name, o.Slug, o.Settings, 0); !slices.Equal(fields(err), []string{want}) {
				t.Errorf("%s: %v", want, err)
			}
		}
		for _, name := range []string{"", " ", "a ", strings.Repeat("n", 65), "a\nb", "\xff"} {
			if _, err := w.Update(ctx, w.owner, name, old.Slug, old.Settings, 0); !slices.Equal(fields(err), []string{"name"}) {
				t.Errorf("%q: %v", name, err)
			}
		}
		w.clock.Advance(time.Second)
		changed := must[org.Organization](t)(w.Update(ctx, w.owner, "Works anew", "works-anew", old.Settings, old.Version))
		_, err := w.Update(ctx, w.owner, "Too late", old.Slug, old.Settings, old.Version)
		refused(t, "a version that is gone", err, pam.Precondition)
		got := must[org.Organization](t)(w.Get(ctx, w.owner))
		if d := cmp.Diff(changed, got); d != "" || got.Version != old.Version+1 {
			t.Error(d)
		}
		same := must[org.Organization](t)(w.Update(ctx, w.owner, got.Name, got.Slug, got.Settings, 0))
		if n := len(w.events(w.owner.Org, audit.OrganizationUpdated)); n != 1 || same.Version != got.Version {
			t.Errorf("%d events, version %d", n, same.Version)
		}
		boss := w.elsewhere()
		o := must[org.Organization](t)(w.Get(ctx, boss))
		_, err = w.Update(ctx, boss, o.Name, "works-anew", o.Settings, 0)
		refused(t, "a slug that is taken", err, pam.Conflict)
	})
}

// The flag is for the instance: it makes organizations, and opens none.
func TestInstanceAdministratorHasNoRightInsideAnOrganization(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		boss := w.elsewhere()
		_, err := w.people.ActorFor(ctx, w.owner, boss.Org)
		refused(t, "entering", err, pam.OrgDenied)
		outsider := pam.Actor{User: w.owner.User, InstanceAdmin: true, Token: pam.LoginToken, StepUpAt: w.clock.Now(), Org: boss.Org} // no role there
		for what, err := range map[string]error{
			"reading": second(w.Get(ctx, outsider)), "members": second(w.Members(ctx, outsider, org.Query{Limit: 1}, "")),
			"adding oneself": second(w.Add(ctx, outsider, "owner@example.com", pam.Owner, secret.Value{}, false)),
			"a role":         second(w.SetRole(ctx, outsider, boss.User, pam.Operator)), "removing": w.Remove(ctx, outsider, boss.User),
			"settings": second(w.Update(ctx, outsider, "Mine", "mine", org.DefaultSettings(), 0)),
		} {
			refused(t, what, err, pam.Denied)
		}
		// Nor has an owner the rights of one.
		robot := w.owner
		robot.Token = pam.PersonalToken
		for _, a := range []pam.Actor{boss, robot} {
			_, err := w.Create(ctx, a, "Third", "", "", secret.Value{})
			refused(t, "making an organization", err, pam.Denied)
			_, err = w.ListAll(ctx, a, "", 10)
			refused(t, "listing organizations", err, pam.Denied)
		}
		if all := must[[]org.Organization](t)(w.ListAll(ctx, w.owner, "", 10)); len(all) != 2 {
			t.Errorf("%+v", all)
		}
	})
}

// A new owner is at home in the new organization and must choose a password;
// an existing one is asked; without one it is the caller.
func TestOrganizationHasAnOwnerFromTheStart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		member := func(o org.Organization, email string) org.Member {
			t.Helper()
			id := must[pam.UserID](t)(w.db.UserIDByEmail(ctx, email))
			return must[org.Member](t)(w.db.OrgMember(ctx, o.ID, id))
		}
		o := must[org.Organization](t)(w.Create(ctx, w.owner, "First", "", "New@example.com", secret.FromString(password)))
		if m := member(o, "new@example.com"); m.Role != pam.Owner || m.Status != org.Active || m.HomeOrg != o.ID {
			t.Errorf("%+v", m)
		}
		_, err := w.people.Login(ctx, "new@example.com", secret.FromString(password), here)
		refused(t, "with the password that was given", err, pam.PasswordChangeNeeded)

		ada := w.new(w.owner, pam.Operator)
		o = must[org.Organization](t)(w.Create(ctx, w.owner, "Second", "", ada.Email, secret.FromString("not theirs at all")))
		if m := member(o, ada.Email); m.Role != pam.Owner || m.Status != org.Invited {
			t.Errorf("%+v", m)
		}
		if e := w.events(o.ID, audit.MemberInvited); len(e) != 1 || e[0].Target.Name != ada.Email {
			t.Errorf("%+v", e)
		}
		w.signIn(ada.Email, "") // with the password that they had
		for _, email := range []string{"", "owner@example.com"} {
			o = must[org.Organization](t)(w.Create(ctx, w.owner, "Mine"+email, "", email, secret.Value{}))
			if m := member(o, "owner@example.com"); m.Role != pam.Owner || m.Status != org.Active {
				t.Errorf("%+v", m)
			}
		}
		for want, c := range map[string]struct{ name, slug, email, password string }{
			"name": {"", "x", "", ""}, "slug": {"Works", "-", "", ""}, "email": {"Works", "x", "nobody", password}, "password": {"Works", "x", "third@example.com", "short"},
		} {
			if _, err := w.Create(ctx, w.owner, c.name, c.slug, c.email, secret.FromString(c.password)); !slices.Equal(fields(err), []string{want}) {
				t.Errorf("%s: %v", want, err)
			}
		}
		_, _, err = w.Bootstrap(ctx, "Again", "again@example.com", secret.FromString(password))
		refused(t, "a second first one", err, pam.Conflict)
		if _, err := w.db.UserIDByEmail(ctx, "again@example.com"); !pam.Is(err, pam.NotFound) {
			t.Errorf("somebody was made all the same: %v", err)
		}
	})
}
