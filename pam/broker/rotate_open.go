package broker

import (
	"context"
	"errors"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/resource"
	"vaultpam/pam/rotation"
)

// What a rotation opens, and where it may be sent.

func system(org pam.OrgID) pam.Actor { return pam.Actor{Org: org, Token: pam.SystemToken} }

func loginName(acc account.Account, s rotation.Settings) string {
	if s.Login != "" {
		return s.Login
	}
	return acc.Username
}

// place reads the account and the resource of a step anew: since the one before
// it a redirection may hold the credential back.
func (b *Broker) place(ctx context.Context, org pam.OrgID, id pam.AccountID, at pam.ResourceID) (account.Account, resource.Resource, error) {
	acc, err := b.Store.AccountByID(ctx, org, id)
	if err != nil {
		return acc, resource.Resource{}, err
	}
	r, err := b.Store.ResourceByID(ctx, org, at)
	if err != nil {
		return acc, r, err
	}
	ok, err := b.uses(ctx, org, acc, at)
	if err == nil && !ok {
		err = pam.Errorf(pam.Conflict, "", "The account is not used at the resource where its credential is to be changed.")
	}
	return acc, r, err
}

// helper reads an account that acts for another one at a resource.
func (b *Broker) helper(ctx context.Context, org pam.OrgID, id pam.AccountID, r resource.Resource) (account.Account, error) {
	acc, err := b.Store.AccountByID(ctx, org, id)
	if pam.Is(err, pam.NotFound) {
		return acc, pam.Errorf(pam.Conflict, "", "The account that is to help does not exist any more.")
	}
	if err != nil {
		return acc, err
	}
	ok, err := b.uses(ctx, org, acc, r.ID)
	if err == nil && !ok {
		err = pam.Errorf(pam.Conflict, "", "The account that is to help is not used at %s any more.", r.Name)
	}
	return acc, err
}

// opening is the one-shot login of a step of a rotation.
type opening struct {
	b        *Broker
	s        rotation.Subject
	acc      account.Account
	r        resource.Resource
	number   int64 // 0: the version that is known to log in
	what     string
	username string
	given    bool
}

func (b *Broker) opens(s rotation.Subject, acc account.Account, r resource.Resource, number int64, what string) *opening {
	return &opening{b: b, s: s, acc: acc, r: r, number: number, what: what, username: acc.Username}
}

// Login opens the credential once, after the target has proved who it is.
func (o *opening) Login(ctx context.Context) (Credential, error) {
	const op = "open credential"
	if o.given {
		return Credential{}, pam.Errorf(pam.Denied, op, "The credential was used already.")
	}
	if err := o.b.released(ctx, o.s.Org, o.r.ID, o.acc.ID, ""); err != nil {
		return Credential{}, pam.Wrap(op, err)
	}
	number := o.number
	if number == 0 {
		sealed, err := o.b.Secrets.SealedCredential(ctx, o.s.Org, o.acc.ID)
		if err != nil {
			return Credential{}, pam.Wrap(op, err)
		}
		number = sealed.Version
	}
	c, _, err := o.b.version(ctx, o.s, o.acc, number, o.what)
	o.given = err == nil
	return c, pam.Wrap(op, err)
}

// version opens one version of an account's credential for a rotation, after
// its event.
func (b *Broker) version(ctx context.Context, s rotation.Subject, acc account.Account, number int64, what string) (Credential, string, error) {
	sealed, err := b.Secrets.SealedVersion(ctx, s.Org, acc.ID, number)
	if err != nil {
		if pam.Is(err, pam.NotFound) {
			err = pam.Errorf(pam.Conflict, "read credential", "Version %d of the credential is not there any more.", number)
		}
		return Credential{}, "", err
	}
	m := map[string]any{"for": "rotation", "step": what, "version": number, "resource_id": string(s.Resource)}
	if s.Rotation != "" {
		m["rotation_id"] = string(s.Rotation)
	} else {
		m["for"] = "check"
	}
	target := audit.Party{Type: "account", ID: string(acc.ID), Name: acc.Name}
	if err := b.Audit.Append(ctx, s.Org, b.Scribe.Entry(system(s.Org), audit.CredentialInjected, target, m)); err != nil {
		return Credential{}, "", err
	}
	v, err := b.Sealer.Open(ctx, pam.Binding{Org: s.Org, Purpose: account.Purpose, Object: string(acc.ID), Version: number}, sealed.Sealed)
	if err != nil {
		e := b.Scribe.Entry(system(s.Org), audit.CredentialOpenFailed, target, notOpened(err, "account_id", string(acc.ID), number))
		return Credential{}, "", errors.Join(err, b.Audit.Append(context.WithoutCancel(ctx), s.Org, e))
	}
	return credentialOf(sealed.Kind, v), sealed.PublicKey, nil
}
