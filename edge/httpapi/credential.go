package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
)

func newCredential(in v1.CredentialIn) account.NewCredential {
	out := account.NewCredential{
		Kind: account.Kind(in.Kind), Value: secret.FromString(in.Value),
		PrivateKey: secret.FromString(in.PrivateKey), Passphrase: secret.FromString(in.Passphrase), Certificate: in.Certificate,
	}
	if e := in.Ephemeral; e != nil {
		out.Ephemeral = &account.Ephemeral{
			Principals: e.Principals, TTLSeconds: e.TTLSeconds, AdminAccountID: pam.AccountID(e.AdminAccountID),
			CreateStatements: e.CreateStatements, RevokeStatements: e.RevokeStatements, Rules: e.Rules,
		}
	}
	return out
}

func ephemeralOf(e *account.Ephemeral) *v1.Ephemeral {
	if e == nil {
		return nil
	}
	return &v1.Ephemeral{
		Principals: e.Principals, TTLSeconds: e.TTLSeconds, AdminAccountID: string(e.AdminAccountID),
		CreateStatements: e.CreateStatements, RevokeStatements: e.RevokeStatements, Rules: e.Rules,
	}
}

func publicOf(p account.Public) v1.CredentialPublic {
	return v1.CredentialPublic{
		PublicKey: p.PublicKey, Fingerprint: p.Fingerprint, Subject: p.Subject, Issuer: p.Issuer, Serial: p.Serial,
		Principals: p.Principals, NotBefore: moment(p.NotBefore), NotAfter: moment(p.NotAfter),
	}
}

func credentialReply(acc account.Account, err error) (*answer[v1.Credential], error) {
	if err != nil {
		return nil, err
	}
	return &answer[v1.Credential]{*accountOf(acc).Credential}, nil
}

func (a *API) putCredential(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Raw
},
) (*answer[v1.Credential], error) {
	body, err := decode[v1.CredentialIn](a, nil, in.RawBody)
	clear(in.RawBody) // it holds a secret
	if err != nil {
		return nil, err
	}
	return credentialReply(a.Accounts.SetCredential(ctx, actor, pam.AccountID(in.ID), newCredential(body)))
}

func (a *API) generateCredential(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Body v1.GenerateIn
},
) (*answer[v1.Credential], error) {
	p := account.GenerationPolicy{
		Kind: account.Kind(in.Body.Kind), Length: in.Body.Length, Symbols: in.Body.Symbols, Exclude: in.Body.Exclude, Algorithm: in.Body.Algorithm,
	}
	if c := in.Body.Classes; c != nil {
		p.Classes = map[string]int{}
		for name, least := range map[string]*int{"lower": c.Lower, "upper": c.Upper, "digit": c.Digit, "symbol": c.Symbol} {
			if least != nil {
				p.Classes[name] = *least
			}
		}
	}
	if w := in.Body.Passphrase; w != nil {
		p.Passphrase = &account.PassphrasePolicy{Words: w.Words, Separator: w.Separator}
	}
	return credentialReply(a.Accounts.Generate(ctx, actor, pam.AccountID(in.ID), p))
}

// versions answers with a history, with the names of people for people.
func (a *API) versions(ctx context.Context, org pam.OrgID, rows []account.Version, err error) (*answer[[]v1.CredentialVersion], error) {
	if err != nil {
		return nil, err
	}
	out := make([]v1.CredentialVersion, 0, len(rows))
	for _, v := range rows {
		out = append(out, v1.CredentialVersion{
			Version: v.Version, Kind: string(v.Kind), CredentialPublic: publicOf(v.Public), CreatedBy: string(v.CreatedBy), CreatedAt: v.CreatedAt,
			Promoted: v.Promoted, State: string(v.State), PurgedAt: moment(v.PurgedAt), PurgedBy: string(v.PurgedBy),
		})
	}
	err = nameRows(ctx, a.Labels, org, out, func(v *v1.CredentialVersion) []label {
		return []label{{v.CreatedBy, &v.CreatedByName}, {v.PurgedBy, &v.PurgedByName}}
	})
	return &answer[[]v1.CredentialVersion]{out}, err
}

func (a *API) listVersions(ctx context.Context, actor pam.Actor, in *ByID) (*answer[[]v1.CredentialVersion], error) {
	rows, err := a.Accounts.Versions(ctx, actor, pam.AccountID(in.ID))
	return a.versions(ctx, actor.Org, rows, err)
}

// byVersion names one version of an account's credential.
type byVersion struct {
	ByID
	N int64 `path:"n" minimum:"0"`
}

func (a *API) deleteVersion(ctx context.Context, actor pam.Actor, in *byVersion) (*nothing, error) {
	return nil, a.Accounts.Purge(ctx, actor, pam.AccountID(in.ID), in.N)
}

func (a *API) purgeVersions(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Body v1.PurgeIn
},
) (*answer[[]v1.CredentialVersion], error) {
	rows, err := a.Accounts.PurgeOld(ctx, actor, pam.AccountID(in.ID), in.Body.Keep)
	return a.versions(ctx, actor.Org, rows, err)
}

func (a *API) promoteVersion(ctx context.Context, actor pam.Actor, in *byVersion) (*answer[v1.Credential], error) {
	return credentialReply(a.Accounts.Promote(ctx, actor, pam.AccountID(in.ID), in.N))
}
