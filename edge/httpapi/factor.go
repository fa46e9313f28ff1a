package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/identity"
)

func (a *API) postMFA(ctx context.Context, _ pam.Actor, in *withBody[v1.MFAIn]) (*answer[v1.Token], error) {
	r, err := a.Identity.LoginByFactor(ctx, in.Body.MFAToken, identity.FactorKind(in.Body.Factor), in.Body.Code, false, client(ctx))
	if err != nil {
		return nil, loginRefusal(err)
	}
	return &answer[v1.Token]{v1.Token{AccessToken: string(r.Token.Expose()), ExpiresIn: seconds(r.ExpiresIn)}}, nil
}

func (a *API) postCookieMFA(ctx context.Context, _ pam.Actor, in *withBody[v1.MFAIn]) (*cookied[v1.ConsoleLogin], error) {
	r, err := a.Identity.LoginByFactor(ctx, in.Body.MFAToken, identity.FactorKind(in.Body.Factor), in.Body.Code, true, client(ctx))
	return a.consoleLogin(ctx, r, err)
}

func (a *API) getFactors(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.Factors], error) {
	rows, left, err := a.Identity.Factors(ctx, actor)
	out := v1.Factors{Factors: make([]v1.Factor, 0, len(rows)), RecoveryCodesLeft: left}
	for _, f := range rows {
		out.Factors = append(out.Factors, v1.Factor{ID: string(f.ID), Factor: string(f.Kind), Label: f.Label, CreatedAt: f.CreatedAt, LastUsedAt: moment(f.LastUsedAt)})
	}
	return reply(out, err)
}

func (a *API) postTOTP(ctx context.Context, actor pam.Actor, in *Raw) (*answer[v1.TOTP], error) {
	var body v1.TOTPIn
	if len(in.RawBody) > 0 {
		var err error
		if body, err = decode[v1.TOTPIn](a, nil, in.RawBody); err != nil {
			return nil, err
		}
	}
	f, raw, err := a.Identity.AddTOTP(ctx, actor, body.Label)
	if err != nil {
		return nil, err
	}
	defer raw.Wipe()
	return &answer[v1.TOTP]{v1.TOTP{ID: string(f.ID), Secret: identity.TOTPText(raw), OtpauthURL: identity.TOTPURL(actor.Email, raw)}}, nil
}

func codesOf(codes []string, err error) (*answer[v1.RecoveryCodes], error) {
	if codes == nil {
		codes = []string{}
	}
	return reply(v1.RecoveryCodes{RecoveryCodes: codes}, err)
}

func (a *API) confirmTOTP(ctx context.Context, actor pam.Actor, in *withBody[v1.TOTPConfirmIn]) (*answer[v1.RecoveryCodes], error) {
	return codesOf(a.Identity.ConfirmTOTP(ctx, actor, callOf(ctx).token, in.Body.Code, client(ctx)))
}

func (a *API) postRecoveryCodes(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.RecoveryCodes], error) {
	return codesOf(a.Identity.NewRecoveryCodes(ctx, actor))
}

func (a *API) deleteFactor(ctx context.Context, actor pam.Actor, in *ByID) (*nothing, error) {
	return nil, a.Identity.RemoveFactor(ctx, actor, pam.FactorID(in.ID))
}

func (a *API) resetMemberFactors(ctx context.Context, actor pam.Actor, in *ByUser) (*answer[v1.Member], error) {
	m, err := a.Orgs.ResetFactors(ctx, actor, pam.UserID(in.UserID))
	return reply(memberOf(m), err)
}
