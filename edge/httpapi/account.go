package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/account"
)

func accountOf(acc account.Account) v1.Account {
	out := v1.Account{
		ID: string(acc.ID), Name: acc.Name, Slug: acc.Slug, Username: acc.Username, ResourceID: idOrNil(acc.ResourceID),
		CreatedAt: acc.CreatedAt, UpdatedAt: acc.UpdatedAt, ConfirmationID: string(acc.Pending),
	}
	if c := acc.Credential; c != nil {
		out.Credential = &v1.Credential{
			Kind: string(c.Kind), Version: c.Version, CredentialPublic: publicOf(c.Public), RotatedAt: moment(c.RotatedAt), RotationState: c.RotationState, Ephemeral: ephemeralOf(c.Ephemeral),
		}
	}
	return out
}

func idOrNil[T ~string](id T) *string {
	if id == "" {
		return nil
	}
	s := string(id)
	return &s
}

func accountSettings(name, slug, username string, resource *string) account.Settings {
	s := account.Settings{Name: name, Slug: slug, Username: username}
	if resource != nil {
		s.ResourceID = pam.ResourceID(*resource)
	}
	return s
}

func (a *API) accountReply(ctx context.Context, org pam.OrgID, acc account.Account, err error) (*versioned[v1.Account], error) {
	if err != nil {
		return nil, err
	}
	rows := []v1.Account{accountOf(acc)}
	if err := a.nameAccounts(ctx, org, rows); err != nil {
		return nil, err
	}
	return &versioned[v1.Account]{etag(acc.Version), rows[0]}, nil
}

// nameAccounts fills in what the resources are called, for people.
func (a *API) nameAccounts(ctx context.Context, org pam.OrgID, rows []v1.Account) error {
	return nameRows(ctx, a.Labels, org, rows, func(acc *v1.Account) []label {
		if acc.ResourceID == nil {
			return nil
		}
		return []label{{*acc.ResourceID, &acc.ResourceName}}
	})
}

func (a *API) listAccounts(ctx context.Context, actor pam.Actor, in *struct {
	Sorted
	ResourceID string `query:"resource_id" maxLength:"64" doc:"Only accounts of this resource"`
},
) (*listOf[v1.Account], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Accounts.List(ctx, actor, account.Filter{Text: in.Q, Resource: pam.ResourceID(in.ResourceID), Order: naming.Order(in.Sort)}, after, in.limit()+1)
	if err != nil {
		return nil, err
	}
	out := newList("/accounts", in.query("resource_id", in.ResourceID), in.Page, rows, account.Account.Cursor, accountOf)
	return out, a.nameAccounts(ctx, actor.Org, out.Body)
}

func (a *API) postAccount(ctx context.Context, actor pam.Actor, in *Raw) (*versioned[v1.Account], error) {
	body, err := decode[v1.AccountIn](a, nil, in.RawBody)
	clear(in.RawBody) // it may hold a secret
	if err != nil {
		return nil, err
	}
	var c *account.NewCredential
	if body.Credential != nil {
		made := newCredential(*body.Credential)
		c = &made
	}
	acc, err := a.Accounts.Create(ctx, actor, accountSettings(body.Name, body.Slug, body.Username, body.ResourceID), c)
	return a.accountReply(ctx, actor.Org, acc, err)
}

func (a *API) getAccount(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.Account], error) {
	acc, err := a.Accounts.ByID(ctx, actor, pam.AccountID(in.ID))
	return a.accountReply(ctx, actor.Org, acc, err)
}

func (a *API) patchAccount(ctx context.Context, actor pam.Actor, in *change) (*versioned[v1.Account], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	old, err := a.Accounts.ByID(ctx, actor, pam.AccountID(in.ID))
	if err != nil {
		return nil, err
	}
	body, err := decode[v1.AccountPatch](a, v1.AccountPatch{Name: old.Name, Slug: old.Slug, Username: old.Username, ResourceID: idOrNil(old.ResourceID)}, in.RawBody)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		version = old.Version // what the patch was applied to
	}
	acc, err := a.Accounts.Update(ctx, actor, old.ID, version, accountSettings(body.Name, body.Slug, body.Username, body.ResourceID))
	return a.accountReply(ctx, actor.Org, acc, err)
}

func (a *API) deleteAccount(ctx context.Context, actor pam.Actor, in *removal) (*nothing, error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, a.Accounts.Delete(ctx, actor, pam.AccountID(in.ID), version)
}

func (a *API) checkAccount(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Raw
},
) (*answer[v1.CredentialCheck], error) {
	var body v1.CredentialCheckIn
	if len(in.RawBody) > 0 {
		var err error
		if body, err = decode[v1.CredentialCheckIn](a, nil, in.RawBody); err != nil {
			return nil, err
		}
	}
	err := a.Broker.CheckCredential(ctx, actor, pam.AccountID(in.ID), pam.ResourceID(body.ResourceID))
	switch pam.KindOf(err) {
	case pam.TargetAuthFailed, pam.Unreachable, pam.HostKeyMismatch:
		return &answer[v1.CredentialCheck]{v1.CredentialCheck{Error: fromError(err).message}}, nil
	}
	return reply(v1.CredentialCheck{OK: true}, err)
}
