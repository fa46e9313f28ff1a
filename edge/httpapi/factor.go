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
		out.Factors = append(out.Factors, factorOf(f))
	}
	return reply(out, err)
}

func factorOf(f identity.Factor) v1.Factor {
	return v1.Factor{
		ID: string(f.ID), Factor: string(f.Kind), Label: f.Label, Syncable: f.Key != nil && f.Key.Syncable, CreatedAt: f.CreatedAt, LastUsedAt: moment(f.LastUsedAt),
	}
}

func (a *API) postTOTP(ctx context.Context, actor pam.Actor, in *Raw) (*answer[v1.TOTP], error) {
	label, err := a.label(in.RawBody)
	if err != nil {
		return nil, err
	}
	f, raw, err := a.Identity.AddTOTP(ctx, actor, label)
	if err != nil {
		return nil, err
	}
	defer raw.Wipe()
	return &answer[v1.TOTP]{v1.TOTP{ID: string(f.ID), Secret: identity.TOTPText(raw), OtpauthURL: identity.TOTPURL(actor.Email, raw)}}, nil
}

// label is that of a new factor, from a body that may be left out.
func (a *API) label(body []byte) (string, error) {
	if len(body) == 0 {
		return "", nil
	}
	in, err := decode[v1.TOTPIn](a, nil, body)
	return in.Label, err
}

func (a *API) postPasskey(ctx context.Context, actor pam.Actor, in *Raw) (*answer[v1.NewPasskey], error) {
	label, err := a.label(in.RawBody)
	if err != nil {
		return nil, err
	}
	f, options, err := a.Identity.AddPasskey(ctx, actor, label)
	return reply(v1.NewPasskey{ID: string(f.ID), PublicKey: v1.PublicKey{PublicKey: options}}, err)
}

func (a *API) finishPasskey(ctx context.Context, actor pam.Actor, in *Raw) (*answer[v1.PasskeyMade], error) {
	f, codes, err := a.Identity.FinishPasskey(ctx, actor, callOf(ctx).token, in.RawBody)
	if codes == nil {
		codes = []string{}
	}
	return reply(v1.PasskeyMade{Factor: factorOf(f), RecoveryCodes: v1.RecoveryCodes{RecoveryCodes: codes}}, err)
}

func (a *API) patchFactor(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Raw
},
) (*answer[v1.Factor], error) {
	body, err := decode[v1.FactorIn](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	f, err := a.Identity.RenameFactor(ctx, actor, pam.FactorID(in.ID), body.Label)
	return reply(factorOf(f), err)
}

func askOf(ask identity.PasskeyAsk, err error) (*answer[v1.PasskeyAsk], error) {
	if err != nil {
		return nil, err
	}
	defer ask.Token.Wipe()
	return &answer[v1.PasskeyAsk]{v1.PasskeyAsk{PublicKey: v1.PublicKey{PublicKey: ask.Options}, MFAToken: string(ask.Token.Expose()), ExpiresIn: seconds(ask.ExpiresIn)}}, nil
}

func (a *API) askStepUp(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.PasskeyAsk], error) {
	return askOf(a.Identity.PasskeyStepUp(ctx, actor))
}

func (a *API) askSignIn(ctx context.Context, _ pam.Actor, _ *nothing) (*answer[v1.PasskeyAsk], error) {
	return askOf(a.Identity.PasskeySignIn(ctx))
}

func (a *API) signInByPasskey(ctx context.Context, _ pam.Actor, in *withBody[v1.PasskeyIn]) (*cookied[v1.ConsoleLogin], error) {
	r, err := a.Identity.LoginByPasskey(ctx, in.Body.MFAToken, in.Body.Code, client(ctx))
	return a.consoleLogin(ctx, r, err)
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
