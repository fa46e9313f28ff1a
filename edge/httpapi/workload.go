package httpapi

import (
	"context"
	"strings"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/sso"
)

func (a *API) workloadOf(r sso.WorkloadRule) v1.WorkloadRule {
	return v1.WorkloadRule{ID: string(r.ID), Audience: a.SSO.Audience(), WorkloadRuleIn: workloadIn(r), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

func workloadIn(r sso.WorkloadRule) v1.WorkloadRuleIn {
	enabled := r.Enabled
	out := v1.WorkloadRuleIn{Name: r.Name, Issuer: r.Issuer, UserID: string(r.User), Scopes: r.Scopes, TTLSeconds: int(r.TTL / time.Second), Enabled: &enabled}
	for _, c := range r.Conditions {
		out.Conditions = append(out.Conditions, v1.WorkloadCondition{Claim: c.Claim, Value: c.Value})
	}
	return out
}

func workloadSettings(in v1.WorkloadRuleIn) sso.WorkloadSettings {
	out := sso.WorkloadSettings{
		Name: in.Name, Issuer: in.Issuer, User: pam.UserID(in.UserID), Scopes: in.Scopes, TTL: time.Duration(in.TTLSeconds) * time.Second, Enabled: in.Enabled == nil || *in.Enabled,
	}
	for _, c := range in.Conditions {
		out.Conditions = append(out.Conditions, sso.Condition{Claim: c.Claim, Value: c.Value})
	}
	return out
}

func (a *API) workloadReply(r sso.WorkloadRule, err error) (*versioned[v1.WorkloadRule], error) {
	if err != nil {
		return nil, err
	}
	return &versioned[v1.WorkloadRule]{etag(r.Version), a.workloadOf(r)}, nil
}

func (a *API) listWorkloads(ctx context.Context, actor pam.Actor, in *Page) (*listOf[v1.WorkloadRule], error) {
	rows, err := a.SSO.Workloads(ctx, actor)
	if err != nil {
		return nil, err
	}
	return newList("/org/sso/workload-rules", nil, *in, rows[:min(len(rows), in.limit())], sso.WorkloadRule.Cursor, a.workloadOf), nil
}

func (a *API) postWorkload(ctx context.Context, actor pam.Actor, in *Raw) (*versioned[v1.WorkloadRule], error) {
	body, err := decode[v1.WorkloadRuleIn](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	return a.workloadReply(a.SSO.CreateWorkload(ctx, actor, workloadSettings(body)))
}

func (a *API) getWorkload(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.WorkloadRule], error) {
	return a.workloadReply(a.SSO.Workload(ctx, actor, pam.WorkloadRuleID(in.ID)))
}

func (a *API) patchWorkload(ctx context.Context, actor pam.Actor, in *change) (*versioned[v1.WorkloadRule], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	old, err := a.SSO.Workload(ctx, actor, pam.WorkloadRuleID(in.ID))
	if err != nil {
		return nil, err
	}
	body, err := decode[v1.WorkloadRuleIn](a, workloadIn(old), in.RawBody)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		version = old.Version // what the patch was applied to
	}
	return a.workloadReply(a.SSO.UpdateWorkload(ctx, actor, old.ID, version, workloadSettings(body)))
}

func (a *API) deleteWorkload(ctx context.Context, actor pam.Actor, in *removal) (*nothing, error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, a.SSO.DeleteWorkload(ctx, actor, pam.WorkloadRuleID(in.ID), version)
}

// accessToken is what is given, in the words of RFC 8693 section 3.
const accessToken = "urn:ietf:params:oauth:token-type:access_token"

func (a *API) postTokenExchange(ctx context.Context, _ pam.Actor, in *withBody[v1.TokenExchangeIn]) (*answer[v1.TokenExchange], error) {
	b := in.Body
	w, err := a.SSO.Match(ctx, sso.Exchange{Org: b.Organization, Token: b.SubjectToken, Scopes: strings.Fields(b.Scope)}, sso.Client{From: callOf(ctx).from, RequestID: callOf(ctx).id})
	if err != nil {
		return nil, err
	}
	token, ttl, err := a.Identity.TokenForWorkload(ctx, w, client(ctx))
	if err != nil {
		return nil, err
	}
	defer token.Wipe()
	return &answer[v1.TokenExchange]{v1.TokenExchange{
		AccessToken: string(token.Expose()), IssuedTokenType: accessToken, TokenType: "Bearer", ExpiresIn: int(ttl / time.Second), Scope: strings.Join(w.Scopes, " "), OrgID: string(w.Org),
	}}, nil
}
