package store_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/sso"
)

func TestAssertionIsTakenOnceByOneProvider(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, db, now := t.Context(), w.db, w.clock.Now()
		take := func(org pam.OrgID, p pam.ProviderID, id string, at time.Time) error {
			return db.TakeAssertion(ctx, org, p, sha256.Sum256([]byte(id)), now.Add(time.Hour), at)
		}
		for _, err := range []error{take(w.admin.Org, "sso_1", "a", now), take(w.admin.Org, "sso_2", "a", now), take(w.stranger.Org, "sso_1", "a", now), take(w.admin.Org, "sso_1", "b", now)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		refused(t, take(w.admin.Org, "sso_1", "a", now.Add(59*time.Minute)), pam.Conflict)
		// Nobody would take it any more by then.
		if err := take(w.admin.Org, "sso_1", "a", now.Add(time.Hour)); err != nil {
			t.Error(err)
		}
	})
}

func TestOneNodeReadsAProvidersMetadata(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, db, now := t.Context(), w.db, w.clock.Now()
		here := w.admin.Org
		p := w.provider(here, "SAML")
		p.Kind, p.Issuer, p.SAML = sso.KindSAML, "urn:idp", &sso.SAMLSettings{MetadataURL: "https://idp.test", Metadata: "<x/>", Certificates: []sso.Certificate{{SHA256: "00", Until: now}}, Since: now}
		if err := db.CreateSSOProvider(ctx, here, p, sso.Gives{}, w.event(audit.SSOProviderCreated, here)); err != nil {
			t.Fatal(err)
		}
		stale := func(before time.Time) int {
			return len(must[[]sso.Provider](t)(db.StaleProviders(ctx, sso.KindSAML, before, before, 10)))
		}
		if stale(now) != 1 {
			t.Fatal("it was never read, and is not due")
		}
		if len(must[[]sso.Provider](t)(db.StaleProviders(ctx, sso.KindOIDC, now, now, 10))) != 0 {
			t.Error("a provider of another kind is due")
		}
		claim := func(before, at time.Time) bool { return must[bool](t)(db.ClaimSync(ctx, here, p.ID, before, at)) }
		if !claim(now.Add(-time.Hour), now) || claim(now.Add(-time.Hour), now) || stale(now.Add(-time.Hour)) != 0 {
			t.Error("two nodes read it")
		}
		if !claim(now, now.Add(time.Hour)) {
			t.Error("nobody reads it again")
		}
		if err := db.NoteSync(ctx, here, p.ID, "nobody answers"); err != nil {
			t.Fatal(err)
		}
		if n := len(must[[]sso.Provider](t)(db.StaleProviders(ctx, sso.KindSAML, now, now.Add(time.Hour), 10))); n != 1 {
			t.Error("what has failed is not tried again")
		}
		changed := p
		changed.SAML = &sso.SAMLSettings{Metadata: "<y/>"}
		changed.Version = 7
		refused(t, db.TakeDetails(ctx, here, changed, w.event(audit.SSOProviderUpdated, here)), pam.Precondition)
		changed.Version = 1
		refused(t, db.TakeDetails(ctx, w.stranger.Org, changed, w.event(audit.SSOProviderUpdated, w.stranger.Org)), pam.Precondition)
		if err := db.TakeDetails(ctx, here, changed, w.event(audit.SSOProviderUpdated, here)); err != nil {
			t.Fatal(err)
		}
		got := must[sso.Provider](t)(db.SSOProvider(ctx, here, p.ID))
		if got.SAML.Metadata != "<y/>" || got.Version != 1 || got.SyncProblem != "nobody answers" || !got.SyncedAt.Equal(now.Add(time.Hour)) {
			t.Errorf("%+v", got)
		}
		// Nobody else speaks of the same identities, by whatever protocol.
		other := w.provider(here, "OIDC")
		other.Issuer = p.Issuer
		refused(t, db.CreateSSOProvider(ctx, here, other, sso.Gives{}, w.event(audit.SSOProviderCreated, here)), pam.Conflict)
		other.Issuer = "https://idp.test"
		second := w.provider(here, "OIDC, too")
		for _, p := range []sso.Provider{other, second} {
			if err := db.CreateSSOProvider(ctx, here, p, sso.Gives{}, w.event(audit.SSOProviderCreated, here)); err != nil {
				t.Fatal(err)
			}
		}
		other.Issuer = p.Issuer
		refused(t, db.UpdateSSOProvider(ctx, here, other, 1, sso.Gives{}, false, w.event(audit.SSOProviderUpdated, here)), pam.Conflict)
		got.Issuer = "https://idp.test"
		refused(t, db.UpdateSSOProvider(ctx, here, got, 1, sso.Gives{}, false, w.event(audit.SSOProviderUpdated, here)), pam.Conflict)
		there := w.provider(w.stranger.Org, "Theirs")
		there.Kind, there.Issuer, there.SAML = sso.KindSAML, p.Issuer, p.SAML
		if err := db.CreateSSOProvider(ctx, w.stranger.Org, there, sso.Gives{}, w.event(audit.SSOProviderCreated, w.stranger.Org)); err != nil {
			t.Errorf("in another organization: %v", err)
		}
	})
}
