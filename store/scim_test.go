package store_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	orgs "vaultpam/pam/org"
	"vaultpam/pam/provisioning"
	"vaultpam/store"
)

// plainTokens are tokens without a checksum.
type plainTokens struct{}

func (plainTokens) NewDirectoryToken() (secret.Value, [32]byte, error) {
	raw := make([]byte, 16)
	_, err := rand.Read(raw)
	text := hex.EncodeToString(raw)
	return secret.FromString(text), sha256.Sum256([]byte(text)), err
}

func (plainTokens) DirectoryTokenHash(text string) ([32]byte, bool) {
	return sha256.Sum256([]byte(text)), text != ""
}

func (w *world) provisioning() *provisioning.Service {
	return provisioning.New(provisioning.Deps{Store: w.db, Tokens: plainTokens{}, Events: w.db.Audit(), Scribe: w.scribe, Clock: w.clock, IDs: w.ids})
}

// feed is a directory of the actor's organization.
func (w *world) feed(s *provisioning.Service, by pam.Actor) (provisioning.Feed, provisioning.Token, string) {
	w.t.Helper()
	t, value, err := s.CreateToken(w.t.Context(), by, "Directory", pam.Operator, 30)
	if err != nil {
		w.t.Fatal(err)
	}
	text := string(value.Expose())
	return must[provisioning.Feed](w.t)(s.Authenticate(w.t.Context(), text, netip.MustParseAddr("192.0.2.7"), "rid_scim")), t, text
}

func TestTokensOfDirectoriesAreOfOneOrganizationAndEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.provisioning()
		f, token, text := w.feed(s, w.owner)
		if f.Actor.Org != w.owner.Org || f.Actor.User != "" || f.Actor.Role != "" || f.Role != pam.Operator {
			t.Errorf("%+v", f)
		}
		for _, by := range []pam.Actor{w.operator, w.auditor, {}} {
			if _, _, err := s.CreateToken(t.Context(), by, "x", pam.Operator, 1); !pam.Is(err, pam.Denied) {
				t.Errorf("%s: %v", by.Role, err)
			}
		}
		stale := w.owner
		stale.StepUpAt = time.Time{}
		if _, _, err := s.CreateToken(t.Context(), stale, "x", pam.Operator, 1); !pam.Is(err, pam.StepUpNeeded) {
			t.Errorf("without a step-up: %v", err)
		}
		if err := s.DeleteToken(t.Context(), w.stranger, token.ID); !pam.Is(err, pam.NotFound) {
			t.Errorf("by a foreign owner: %v", err)
		}
		if all := must[[]provisioning.Token](t)(s.AllTokens(t.Context(), w.stranger)); len(all) != 0 {
			t.Errorf("listed to a foreign owner: %+v", all)
		}
		for range provisioning.MaxTokens - 1 {
			w.feed(s, w.owner)
		}
		if _, _, err := s.CreateToken(t.Context(), w.owner, "x", pam.Operator, 1); !pam.Is(err, pam.Conflict) {
			t.Errorf("one too many: %v", err)
		}
		w.clock.Advance(2 * time.Minute)
		if _, err := s.Authenticate(t.Context(), text, netip.Addr{}, ""); err != nil {
			t.Fatal(err)
		}
		all := must[[]provisioning.Token](t)(s.AllTokens(t.Context(), w.owner))
		i := slices.IndexFunc(all, func(x provisioning.Token) bool { return x.ID == token.ID })
		if i < 0 || !all[i].LastUsedAt.Equal(w.clock.Now().Truncate(time.Minute)) {
			t.Errorf("%+v", all)
		}
		w.clock.Advance(30 * 24 * time.Hour)
		if _, err := s.Authenticate(t.Context(), text, netip.Addr{}, ""); !pam.Is(err, pam.Unauthenticated) {
			t.Errorf("after its end: %v", err)
		}
		for _, f := range []provisioning.Feed{{}, {Actor: w.owner}, {Actor: pam.Actor{Org: w.owner.Org, Token: pam.DirectoryToken}}} {
			if _, err := s.Users(t.Context(), f, provisioning.Query{Limit: 1}); !pam.Is(err, pam.Denied) {
				t.Errorf("%+v is taken for a directory: %v", f, err)
			}
		}
	})
}

func TestDirectoriesSeeAndChangeTheirOwnOrganizationAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, ctx := w.provisioning(), t.Context()
		mine, _, _ := w.feed(s, w.owner)
		theirs, _, _ := w.feed(s, w.stranger)
		u := must[provisioning.User](t)(s.AddUser(ctx, mine, provisioning.Profile{Email: "Ada@Example.test", GivenName: "Ada", FamilyName: "Byron", ExternalID: "e1", Active: true}))
		if u.Email != "ada@example.test" || u.Name != "Ada Byron" || u.Role != pam.Operator {
			t.Errorf("%+v", u)
		}
		g := must[provisioning.Group](t)(s.AddGroup(ctx, mine, "Team", "g1", []pam.UserID{u.ID}))
		for _, q := range []provisioning.Query{{ID: string(u.ID)}, {Key: u.Email}, {ExternalID: "e1"}} {
			q.Limit = 10
			if got := must[[]provisioning.User](t)(s.Users(ctx, mine, q)); len(got) != 1 || got[0] != u {
				t.Errorf("%+v: %+v, want %+v", q, got, u)
			}
			if got := must[[]provisioning.User](t)(s.Users(ctx, theirs, q)); len(got) != 0 {
				t.Errorf("%+v: %+v", q, got)
			}
		}
		for _, q := range []provisioning.Query{{ID: string(g.ID)}, {Key: "TEAM"}, {ExternalID: "g1"}, {Member: u.ID}} {
			q.Limit = 10
			if got := must[[]provisioning.Group](t)(s.Groups(ctx, mine, q, true)); len(got) != 1 || got[0].ID != g.ID || len(got[0].Members) != 1 {
				t.Errorf("%+v: %+v", q, got)
			}
			if got := must[[]provisioning.Group](t)(s.Groups(ctx, theirs, q, true)); len(got) != 0 {
				t.Errorf("%+v: %+v", q, got)
			}
		}
		suspend := func(u provisioning.User) (provisioning.Profile, error) { u.Active = false; return u.Profile, nil }
		join := func(provisioning.Group) (provisioning.GroupEdit, error) {
			return provisioning.GroupEdit{Add: []pam.UserID{u.ID}}, nil
		}
		own := must[provisioning.Group](t)(s.AddGroup(ctx, theirs, "Team", "", nil))
		for what, err := range map[string]error{
			"suspend":      second(s.ChangeUser(ctx, theirs, u.ID, "", suspend)),
			"remove":       s.RemoveUser(ctx, theirs, u.ID, ""),
			"change group": s.ChangeGroup(ctx, theirs, g.ID, 0, false, join),
			"remove group": s.RemoveGroup(ctx, theirs, g.ID, 0),
		} {
			if !pam.Is(err, pam.NotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := s.ChangeGroup(ctx, theirs, own.ID, 0, false, join); !pam.Is(err, pam.Invalid) {
			t.Errorf("a foreign member: %v", err)
		}
		if _, err := s.AddUser(ctx, theirs, provisioning.Profile{Email: u.Email}); !pam.Is(err, pam.Conflict) {
			t.Errorf("taken over: %v", err)
		}
		// Whatever was decided before: the store itself changes nobody of another
		// home, no owner of the instance, and nobody who has changed meanwhile.
		foreign := u
		foreign.Email = "mine@example.test"
		e := w.scribe.Entry(theirs.Actor, audit.MemberUpdated, audit.Party{}, nil)
		if err := w.db.ChangeFedUser(ctx, theirs.Actor.Org, u, foreign, e); !pam.Is(err, pam.NotFound) {
			t.Errorf("by the store: %v", err)
		}
		other := u
		other.Name = "Somebody else"
		if err := w.db.ChangeFedUser(ctx, mine.Actor.Org, other, foreign, e); !pam.Is(err, pam.Precondition) {
			t.Errorf("what was not read: %v", err)
		}
		if err := w.db.AddFedUser(ctx, theirs.Actor.Org, u, false, e); !pam.Is(err, pam.Precondition) {
			t.Errorf("a person of another home: %v", err)
		}
		w.sql(`UPDATE users SET instance_admin = TRUE WHERE id = ?`, u.ID)
		if _, err := s.ChangeUser(ctx, mine, u.ID, "", suspend); !pam.Is(err, pam.Denied) {
			t.Errorf("an administrator of the instance: %v", err)
		}
		w.sql(`UPDATE users SET instance_admin = FALSE, machine = TRUE WHERE id = ?`, u.ID)
		if err := s.RemoveUser(ctx, mine, u.ID, ""); !pam.Is(err, pam.NotFound) {
			t.Errorf("a machine: %v", err)
		}
		if _, err := s.AddGroup(ctx, mine, "Machines", "", []pam.UserID{u.ID}); !pam.Is(err, pam.Invalid) {
			t.Errorf("a machine in a group: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// A change of address reaches every list in which the person is, and a link
// that went to the old one opens nothing.
func TestNewAddressOfADirectoryIsEverywhere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, ctx := w.provisioning(), t.Context()
		f, _, _ := w.feed(s, w.owner)
		u := must[provisioning.User](t)(s.AddUser(ctx, f, provisioning.Profile{Email: "old@example.test", Active: true}))
		w.sql(`INSERT INTO memberships (org_id, user_id, role, status, joined_at, email, name) VALUES (?, ?, 'operator', 'active', 1, 'old@example.test', 'old')`, w.stranger.Org, u.ID)
		w.sql(`INSERT INTO password_links (user_id, org_id, token_hash, created_at, expires_at) VALUES (?, ?, ?, 1, 1)`, u.ID, w.owner.Org, []byte("x"))
		must[provisioning.User](t)(s.ChangeUser(ctx, f, u.ID, "", func(u provisioning.User) (provisioning.Profile, error) {
			u.Email, u.Name = "new@example.test", "New"
			return u.Profile, nil
		}))
		for _, org := range []pam.OrgID{w.owner.Org, w.stranger.Org} {
			if m := must[[]orgs.Member](t)(w.db.ListOrgMembers(ctx, org, orgs.Query{Text: "new@example", Limit: 10})); len(m) != 1 || m[0].Email != "new@example.test" || m[0].Name != "New" {
				t.Errorf("%+v", m)
			}
		}
		if _, err := w.db.PasswordLinkByToken(ctx, [32]byte{'x'}); !pam.Is(err, pam.NotFound) {
			t.Errorf("the link: %v", err)
		}
	})
}

// Two who change one group at once both get what they wanted.
func TestConcurrentChangesOfOneGroupAreAllKept(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, ctx := w.provisioning(), t.Context()
		f, _, _ := w.feed(s, w.owner)
		g := must[provisioning.Group](t)(s.AddGroup(ctx, f, "Busy", "", nil))
		var people []pam.UserID
		for i := range 4 {
			people = append(people, must[provisioning.User](t)(s.AddUser(ctx, f, provisioning.Profile{Email: fmt.Sprintf("p%d@example.test", i), Active: true})).ID)
		}
		var wg sync.WaitGroup
		for _, p := range people {
			wg.Go(func() {
				if err := s.ChangeGroup(ctx, f, g.ID, 0, false, func(provisioning.Group) (provisioning.GroupEdit, error) {
					return provisioning.GroupEdit{Add: []pam.UserID{p}}, nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		slices.Sort(people)
		if got := must[provisioning.Group](t)(s.Group(ctx, f, g.ID, true)); !slices.Equal(got.Members, people) || got.Version != 5 {
			t.Errorf("%+v", got)
		}
	})
}

// A group of ten thousand is made, paged through, and emptied.
func TestGroupOfTenThousandIsFilledAndEmptied(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, ctx := w.provisioning(), t.Context()
		f, _, _ := w.feed(s, w.owner)
		all := make([]pam.UserID, provisioning.MaxMembers)
		if err := w.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			for i := range all {
				id := w.ids.New(pam.PrefixUser)
				all[i] = pam.UserID(id)
				if _, err := tx.Exec(ctx, `INSERT INTO users (id, email, name, home_org_id, active_org_id, instance_admin, password_hash, must_change, created_at) VALUES (?, ?, '', ?, '', FALSE, '', FALSE, 1)`, id, id+"@example.test", w.owner.Org); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `INSERT INTO memberships (org_id, user_id, role, status, joined_at) VALUES (?, ?, 'operator', 'active', 1)`, w.owner.Org, id); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		g := must[provisioning.Group](t)(s.AddGroup(ctx, f, "Everybody", "", all))
		t.Logf("filled in %v", time.Since(start))
		if _, err := s.AddGroup(ctx, f, "One too many", "", append(slices.Clone(all), w.operator.User)); !pam.Is(err, pam.Invalid) {
			t.Errorf("one too many: %v", err)
		}
		if err := s.ChangeGroup(ctx, f, g.ID, 0, false, func(provisioning.Group) (provisioning.GroupEdit, error) {
			return provisioning.GroupEdit{Add: []pam.UserID{w.operator.User}}, nil
		}); !pam.Is(err, pam.Invalid) {
			t.Errorf("one too many, added: %v", err)
		}
		seen := 0
		for q := (provisioning.Query{Limit: 1000}); ; {
			rows := must[[]provisioning.User](t)(s.Users(ctx, f, q))
			if len(rows) == 0 {
				break
			}
			seen += len(rows)
			q.After = string(rows[len(rows)-1].ID)
		}
		if n := must[int](t)(s.CountUsers(ctx, f, provisioning.Query{})); n != seen || n < len(all) {
			t.Errorf("%d of %d seen", seen, n)
		}
		start = time.Now()
		for part := range slices.Chunk(all[:9000], 1000) {
			if err := s.ChangeGroup(ctx, f, g.ID, 0, false, func(provisioning.Group) (provisioning.GroupEdit, error) {
				return provisioning.GroupEdit{Remove: part}, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.ChangeGroup(ctx, f, g.ID, 0, false, func(provisioning.Group) (provisioning.GroupEdit, error) {
			return provisioning.GroupEdit{All: true}, nil
		}); err != nil {
			t.Fatal(err)
		}
		t.Logf("emptied in %v", time.Since(start))
		if got := must[provisioning.Group](t)(s.Group(ctx, f, g.ID, true)); len(got.Members) != 0 || got.Count != 0 {
			t.Errorf("%d are left", got.Count)
		}
	})
}
