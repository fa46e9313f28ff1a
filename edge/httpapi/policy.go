package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/policy"
	"vaultpam/pam/rulebook"
)

func hoursOf(h *v1.ValidHours) *policy.Hours {
	if h == nil {
		return nil
	}
	out := &policy.Hours{TimeZone: h.TimeZone}
	for _, w := range h.Windows {
		out.Windows = append(out.Windows, policy.Window(w))
	}
	return out
}

func hoursShape(h *policy.Hours) *v1.ValidHours {
	if h == nil {
		return nil
	}
	out := &v1.ValidHours{TimeZone: h.TimeZone, Windows: make([]v1.HourWindow, 0, len(h.Windows))}
	for _, w := range h.Windows {
		out.Windows = append(out.Windows, v1.HourWindow(w))
	}
	return out
}

// retype gives a list of texts the type of another, of the same texts.
func retype[To, From ~string](all []From) []To {
	var out []To
	for _, v := range all {
		out = append(out, To(v))
	}
	return out
}

// policySettings reads what a client wrote.
func policySettings(in v1.PolicyIn) rulebook.Settings {
	c := in.Conditions
	s := rulebook.Settings{
		Name: in.Name, Description: in.Description, Action: policy.Effect(in.Action), SafeIDs: retype[pam.SafeID](in.SafeIDs),
		Conditions: policy.Conditions{
			TimeWindow: hoursOf(c.TimeWindow), SourceIPs: c.SourceIPs, MFARequired: c.MFARequired, ResourceTypes: retype[pam.Protocol](c.ResourceTypes),
			UserIDs: retype[pam.UserID](c.UserIDs), GroupIDs: retype[pam.GroupID](c.GroupIDs), Roles: retype[pam.Role](c.Roles),
		},
	}
	if in.JIT != nil {
		s.JIT = new(policy.JIT(*in.JIT))
	}
	return s
}

// policyIn is what a client would write for these settings.
func policyIn(s rulebook.Settings) v1.PolicyIn {
	c := s.Conditions
	out := v1.PolicyIn{
		Name: s.Name, Description: s.Description, Action: string(s.Action), SafeIDs: retype[string](s.SafeIDs),
		Conditions: v1.PolicyConditions{
			TimeWindow: hoursShape(c.TimeWindow), SourceIPs: c.SourceIPs, MFARequired: c.MFARequired, ResourceTypes: retype[string](c.ResourceTypes),
			UserIDs: retype[string](c.UserIDs), GroupIDs: retype[string](c.GroupIDs), Roles: retype[string](c.Roles),
		},
	}
	if s.JIT != nil {
		out.JIT = new(v1.JIT(*s.JIT))
	}
	return out
}

func policyOf(p rulebook.Policy) v1.Policy {
	in := policyIn(p.Settings)
	out := v1.Policy{
		ID: string(p.ID), Name: in.Name, Description: in.Description, Status: string(p.Status), Conditions: in.Conditions, Action: in.Action, JIT: in.JIT,
		SafeIDs: in.SafeIDs, CreatedBy: string(p.CreatedBy), CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, ConfirmationID: string(p.Pending),
	}
	if out.SafeIDs == nil {
		out.SafeIDs = []string{}
	}
	return out
}

func policyReply(p rulebook.Policy, err error) (*versioned[v1.Policy], error) {
	if err != nil {
		return nil, err
	}
	return &versioned[v1.Policy]{etag(p.Version), policyOf(p)}, nil
}

func (a *API) listPolicies(ctx context.Context, actor pam.Actor, in *struct {
	Page
	Q      string `query:"q" maxLength:"256" doc:"Only those in whose names this is, in upper or lower case"`
	Status string `query:"status" enum:"draft,active,disabled"`
	SafeID string `query:"safe_id" maxLength:"64" doc:"Only those that are assigned to this Safe"`
},
) (*listOf[v1.Policy], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	q := rulebook.Query{Text: in.Q, Status: rulebook.Status(in.Status), Safe: pam.SafeID(in.SafeID), After: pam.PolicyID(after), Limit: in.limit() + 1}
	rows, err := a.Policies.List(ctx, actor, q)
	if err != nil {
		return nil, err
	}
	return newList("/policies", given("q", in.Q, "status", in.Status, "safe_id", in.SafeID), in.Page, rows, func(p rulebook.Policy) string { return string(p.ID) }, policyOf), nil
}

func (a *API) listPolicyTemplates(context.Context, pam.Actor, *struct{}) (*answer[[]v1.PolicyTemplate], error) {
	out := []v1.PolicyTemplate{}
	for _, t := range rulebook.Templates() {
		out = append(out, v1.PolicyTemplate{ID: t.ID, Policy: policyIn(t.Settings)})
	}
	return reply(out, nil)
}

func (a *API) postPolicy(ctx context.Context, actor pam.Actor, in *Raw) (*versioned[v1.Policy], error) {
	body, err := decode[v1.PolicyIn](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	return policyReply(a.Policies.Create(ctx, actor, policySettings(body)))
}

func (a *API) getPolicy(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.Policy], error) {
	return policyReply(a.Policies.ByID(ctx, actor, pam.PolicyID(in.ID)))
}

func (a *API) patchPolicy(ctx context.Context, actor pam.Actor, in *change) (*versioned[v1.Policy], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	old, err := a.Policies.ByID(ctx, actor, pam.PolicyID(in.ID))
	if err != nil {
		return nil, err
	}
	body, err := patched(a, old, in.RawBody)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		version = old.Version // what the patch was applied to
	}
	return policyReply(a.Policies.Update(ctx, actor, old.ID, version, policySettings(body)))
}

// patched applies a merge patch to a policy. Another action takes what was
// said of approvals away, unless the patch speaks of them.
func patched(a *API, old rulebook.Policy, patch []byte) (v1.PolicyIn, error) {
	body, err := decode[v1.PolicyIn](a, policyIn(old.Settings), patch)
	if err == nil && old.JIT != nil && body.Action != string(policy.RequireApproval) && body.JIT != nil && *body.JIT == v1.JIT(*old.JIT) {
		body.JIT = nil
	}
	return body, err
}

// deletePolicy answers 204, or 200 with the policy where that waits for
// managers.
func (a *API) deletePolicy(ctx context.Context, actor pam.Actor, in *removal) (*deletion[v1.Policy], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	p, err := a.Policies.Delete(ctx, actor, pam.PolicyID(in.ID), version)
	if err != nil || p.ID == "" {
		return &deletion[v1.Policy]{Status: http.StatusNoContent}, err
	}
	return &deletion[v1.Policy]{Status: http.StatusAccepted, Body: new(policyOf(p))}, nil
}

// deletion is the answer to a DELETE that may have to wait.
type deletion[T any] struct {
	Status int
	Body   *T
}

func (a *API) activatePolicy(ctx context.Context, actor pam.Actor, in *removal) (*versioned[v1.Policy], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return policyReply(a.Policies.Activate(ctx, actor, pam.PolicyID(in.ID), version))
}

func (a *API) disablePolicy(ctx context.Context, actor pam.Actor, in *removal) (*versioned[v1.Policy], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return policyReply(a.Policies.Disable(ctx, actor, pam.PolicyID(in.ID), version))
}

func (a *API) previewPolicy(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Raw
},
) (*answer[v1.PolicyPreview], error) {
	old, err := a.Policies.ByID(ctx, actor, pam.PolicyID(in.ID))
	if err != nil {
		return nil, err
	}
	if len(in.RawBody) == 0 {
		in.RawBody = []byte("{}")
	}
	body, err := decode[v1.PolicyPreviewIn](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	settings := old.Settings
	if body.Change != nil {
		// The patch as it was sent: what is decoded has lost its nulls.
		var sent struct {
			Change json.RawMessage `json:"change"`
		}
		if err := json.Unmarshal(in.RawBody, &sent); err != nil {
			return nil, pam.Errorf(pam.BadRequest, "decode body", "The body is not valid JSON.")
		}
		next, err := patched(a, old, sent.Change)
		if err != nil {
			return nil, err
		}
		settings = policySettings(next)
	}
	p, err := a.Policies.Preview(ctx, actor, old.ID, settings, body.Days)
	return reply(previewOf(p), err)
}

func previewOf(p rulebook.Preview) v1.PolicyPreview {
	out := v1.PolicyPreview{
		Since: p.Since, Attempts: p.Attempts, Skipped: p.Skipped, Truncated: p.Truncated, WeakenedSafeIDs: append([]string{}, retype[string](p.Weakened)...),
		Changes: make([]v1.PolicyChange, 0, len(p.Changes)),
	}
	for _, c := range p.Changes {
		out.Changes = append(out.Changes, v1.PolicyChange{
			UserID: string(c.User), UserEmail: c.UserName, SafeID: string(c.Safe), SafeName: c.SafeName, Before: string(c.Before), After: string(c.After),
			Attempts: c.Attempts, LastAt: c.LastAt, Why: c.Why,
		})
	}
	return out
}

func (a *API) postAccessDecision(ctx context.Context, actor pam.Actor, in *withBody[v1.AccessDecisionIn]) (*answer[v1.AccessDecision], error) {
	b := in.Body
	h := rulebook.Hypothesis{User: pam.UserID(b.UserID), Safe: pam.SafeID(b.SafeID), Resource: pam.ResourceID(b.ResourceID), At: timeOf(b.At), Emergency: b.Emergency}
	if b.Action == "check_out" {
		h.Action = policy.CredentialReveal
	}
	var ps pam.Problems
	if b.SourceIP != "" {
		from, err := netip.ParseAddr(b.SourceIP)
		if err != nil || from.Zone() != "" {
			ps.Add("source_ip", "is not an address")
		}
		h.From = from
	}
	if y := h.At.Year(); b.At != nil && (y < 1970 || y > 9999) {
		ps.Add("at", "is out of range")
	}
	if err := ps.Err("try access decision"); err != nil {
		return nil, err
	}
	d, err := a.Policies.Decide(ctx, actor, h)
	return reply(decisionOf(d), err)
}

func decisionOf(d rulebook.Answer) v1.AccessDecision {
	out := v1.AccessDecision{
		Decision: string(d.Effect), Rule: d.Decider(&d.Question), Message: d.Refusal(&d.Question), Obligations: []v1.Obligation{}, Reasons: make([]v1.RuleReason, 0, len(d.Reasons)),
	}
	if d.Effect != policy.Deny {
		if d.Question.Emergency {
			out.Obligations = append(out.Obligations, v1.Obligation{Kind: "reason"})
		} else if d.Approvers > 0 {
			out.Obligations = append(out.Obligations, v1.Obligation{Kind: "approval", Approvers: d.Approvers, MaxSeconds: d.MaxSeconds, AutoExpire: d.AutoExpire})
		}
		if d.Again {
			out.Obligations = append(out.Obligations, v1.Obligation{Kind: "step_up"})
		}
		if d.Factor {
			out.Obligations = append(out.Obligations, v1.Obligation{Kind: "mfa"})
		}
	}
	for _, r := range d.Reasons {
		out.Reasons = append(out.Reasons, v1.RuleReason{Rule: r.Rule, Name: r.Name, Effect: r.Effect, Why: r.Why})
	}
	return out
}
