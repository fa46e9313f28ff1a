package httpapi

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/rotation"
)

func dependentOf(d rotation.Dependent) v1.RotationDependent {
	return v1.RotationDependent{ResourceID: string(d.Resource), AccountID: string(d.Account), Path: d.Path, Key: d.Key}
}

func each[From, To any](all []From, shape func(From) To) []To {
	var out []To
	for _, v := range all {
		out = append(out, shape(v))
	}
	return out
}

func rotationOf(r rotation.Rotation) v1.Rotation {
	out := v1.Rotation{
		ID: string(r.ID), AccountID: string(r.Account), AccountName: r.Name, ResourceID: idOrNil(r.Resource), Trigger: string(r.Trigger), State: string(r.State),
		OldVersion: r.Old, Version: r.Next, Attempts: r.Attempts, Problem: r.Problem, Repaired: r.Repaired, Pending: each(r.Pending, dependentOf), RequestedBy: string(r.By),
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, EndedAt: moment(r.EndedAt), NeedsSomeone: r.State == rotation.Stuck,
	}
	if r.State.Open() && r.State != rotation.Stuck {
		out.NextAttempt = moment(r.NextAt)
	}
	return out
}

func (a *API) rotateAccount(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Raw
},
) (*answer[v1.Rotation], error) {
	var body v1.RotateIn
	if len(in.RawBody) > 0 {
		var err error
		body, err = decode[v1.RotateIn](a, nil, in.RawBody)
		clear(in.RawBody) // it may hold a secret
		if err != nil {
			return nil, err
		}
	}
	id := pam.AccountID(in.ID)
	if body.Credential == nil {
		r, err := a.Rotations.Start(ctx, actor, id)
		return reply(rotationOf(r), err)
	}
	c := newCredential(*body.Credential)
	defer c.Wipe()
	r, err := a.Rotations.Verify(ctx, actor, id, func(ctx context.Context, n int64) (rotation.Candidate, error) {
		return a.Broker.SealVersion(ctx, actor.Org, id, n, c)
	})
	return reply(rotationOf(r), err)
}

func (a *API) listRotations(ctx context.Context, actor pam.Actor, in *struct {
	Page
	AccountID string `query:"account_id" maxLength:"64"`
	State     string `query:"state" enum:"queued,stored,applying,applied,verified,spreading,done,failed,stuck,cancelled"`
	Open      bool   `query:"open" doc:"Only those that are not over"`
},
) (*listOf[v1.Rotation], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Rotations.List(ctx, actor, rotation.Query{
		Account: pam.AccountID(in.AccountID), State: rotation.State(in.State), Open: in.Open, After: pam.RotationID(after), Limit: in.limit() + 1,
	})
	if err != nil {
		return nil, err
	}
	open := ""
	if in.Open {
		open = strconv.FormatBool(true)
	}
	return newList("/rotations", given("account_id", in.AccountID, "state", in.State, "open", open), in.Page, rows, rotation.Rotation.Cursor, rotationOf), nil
}

func (a *API) getRotation(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Rotation], error) {
	r, err := a.Rotations.ByID(ctx, actor, pam.RotationID(in.ID))
	return reply(rotationOf(r), err)
}

func (a *API) retryRotation(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Rotation], error) {
	r, err := a.Rotations.Retry(ctx, actor, pam.RotationID(in.ID))
	return reply(rotationOf(r), err)
}

func (a *API) cancelRotation(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Rotation], error) {
	r, err := a.Rotations.Cancel(ctx, actor, pam.RotationID(in.ID))
	return reply(rotationOf(r), err)
}

func rotationSettingsOf(s rotation.Settings) v1.RotationSettings {
	out := v1.RotationSettings{
		ResourceID: string(s.Resource), Login: s.Login, Attribute: s.Attribute, ReconcileAccountID: string(s.Reconcile), ByReconcile: s.ByReconcile,
		Window: hoursShape(s.Window), JitterSeconds: s.JitterSeconds, Dependents: each(s.Dependents, dependentOf), CheckHours: s.CheckHours,
	}
	if len(s.Generation) > 0 {
		_ = json.Unmarshal(s.Generation, &out.Generation) // it was an object when it was stored
	}
	return out
}

func (a *API) getRotationSettings(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.RotationSettings], error) {
	s, err := a.Rotations.Settings(ctx, actor, pam.AccountID(in.ID))
	return reply(rotationSettingsOf(s), err)
}

func (a *API) putRotationSettings(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Raw
},
) (*answer[v1.RotationSettings], error) {
	body, err := decode[v1.RotationSettings](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	s := rotation.Settings{
		Resource: pam.ResourceID(body.ResourceID), Login: body.Login, Attribute: body.Attribute, Reconcile: pam.AccountID(body.ReconcileAccountID), ByReconcile: body.ByReconcile,
		Window: hoursOf(body.Window), JitterSeconds: body.JitterSeconds, CheckHours: body.CheckHours,
		Dependents: each(body.Dependents, func(d v1.RotationDependent) rotation.Dependent {
			return rotation.Dependent{Resource: pam.ResourceID(d.ResourceID), Account: pam.AccountID(d.AccountID), Path: d.Path, Key: d.Key}
		}),
	}
	if len(body.Generation) > 0 {
		if s.Generation, err = json.Marshal(body.Generation); err != nil {
			return nil, pam.Wrap("read rotation settings", err)
		}
	}
	s, err = a.Rotations.Set(ctx, actor, pam.AccountID(in.ID), s)
	return reply(rotationSettingsOf(s), err)
}

func (a *API) healthOf(h rotation.Health) v1.CredentialHealth {
	check := string(h.Outcome)
	if h.Outcome == rotation.Unchecked {
		check = "unchecked"
	}
	state := string(h.Rotation)
	if state == "" {
		state = account.Stable
	}
	flags := h.Flags
	if flags == nil {
		flags = []string{}
	}
	return v1.CredentialHealth{
		AccountID: string(h.Account), AccountName: h.Name, Username: h.Username, ResourceID: idOrNil(h.Resource), Kind: h.Kind, Version: h.Version,
		SetAt: h.SetAt, AgeDays: int(a.Clock.Now().Sub(h.SetAt) / (24 * time.Hour)), RotationState: state, IntervalDays: h.Interval, Safes: h.Safes,
		UsedAt: moment(h.UsedAt), Users: h.Users, Check: check, CheckProblem: h.Problem, CheckedAt: moment(h.CheckedAt), CheckChangedAt: moment(h.ChangedAt),
		Weak: h.Weak, Flags: flags,
	}
}

func (a *API) listCredentialHealth(ctx context.Context, actor pam.Actor, in *struct {
	Page
	AccountID string `query:"account_id" maxLength:"64"`
	Flag      string `query:"flag" enum:"old,unused,shared,weak,never_rotated,refused,stuck" doc:"Only those that have it"`
},
) (*listOf[v1.CredentialHealth], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Rotations.Health(ctx, actor, rotation.HealthQuery{Account: pam.AccountID(in.AccountID), Flag: in.Flag, After: pam.AccountID(after), Limit: in.limit() + 1})
	if err != nil {
		return nil, err
	}
	return newList("/credential-health", given("account_id", in.AccountID, "flag", in.Flag), in.Page, rows, rotation.Health.Cursor, a.healthOf), nil
}
