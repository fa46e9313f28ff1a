package httpapi

import (
	"context"
	"slices"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/safe"
)

// settingsOf reads what a client wrote.
func settingsOf(in v1.SafeIn) safe.Settings {
	s := safe.Settings{
		Name: in.Name, Slug: in.Slug, Description: in.Description, Approval: safe.Approval(in.Approval), Recording: safe.Recording(in.Recording),
		RecordingFailure: safe.RecordingFailure{Mode: safe.FailureMode(in.RecordingFailure.Mode), GraceSeconds: in.RecordingFailure.GraceSeconds},
		Clipboard:        safe.Channel(in.Clipboard), FileTransfer: safe.Channel(in.FileTransfer), PortForwarding: in.PortForwarding, AgentForwarding: in.AgentForwarding,
		MFAStepUp: in.MFAStepUp, SessionTTLSeconds: in.SessionTTLSeconds, Checkout: safe.Checkout(in.Checkout), Visibility: safe.Visibility(in.Visibility),
		Rotation: safe.Rotation(in.Rotation),
	}
	for _, b := range in.Bindings {
		s.Bindings = append(s.Bindings, safe.Binding{ResourceID: pam.ResourceID(b.ResourceID), AccountID: pam.AccountID(b.AccountID)})
	}
	if h := in.ValidHours; h != nil {
		s.ValidHours = &safe.ValidHours{TimeZone: h.TimeZone}
		for _, w := range h.Windows {
			s.ValidHours.Windows = append(s.ValidHours.Windows, safe.Window(w))
		}
	}
	if in.CredentialExpiresAt != nil {
		t := in.CredentialExpiresAt.UTC().Truncate(time.Microsecond)
		s.CredentialExpiresAt = &t
	}
	for _, u := range in.BreakGlass.UserIDs {
		s.BreakGlass.UserIDs = append(s.BreakGlass.UserIDs, pam.UserID(u))
	}
	return s
}

// safeIn is what a client would write to leave s as it is.
func safeIn(s safe.Safe) v1.SafeIn {
	o := safeOf(s)
	return v1.SafeIn{
		Name: o.Name, Slug: o.Slug, Description: o.Description, Bindings: o.Bindings, Approval: o.Approval, Recording: o.Recording,
		RecordingFailure: o.RecordingFailure, Clipboard: o.Clipboard, FileTransfer: o.FileTransfer, PortForwarding: o.PortForwarding,
		AgentForwarding: o.AgentForwarding, MFAStepUp: o.MFAStepUp, SessionTTLSeconds: o.SessionTTLSeconds, ValidHours: o.ValidHours,
		Checkout: o.Checkout, Visibility: o.Visibility, Rotation: o.Rotation, CredentialExpiresAt: o.CredentialExpiresAt, BreakGlass: o.BreakGlass,
	}
}

func safeOf(s safe.Safe) v1.Safe {
	out := v1.Safe{
		ID: string(s.ID), Name: s.Name, Slug: s.Slug, Description: s.Description, Bindings: make([]v1.Binding, 0, len(s.Bindings)),
		Approval: string(s.Approval), Recording: string(s.Recording),
		RecordingFailure: v1.RecordingFailure{Mode: string(s.RecordingFailure.Mode), GraceSeconds: s.RecordingFailure.GraceSeconds},
		Clipboard:        string(s.Clipboard), FileTransfer: string(s.FileTransfer), PortForwarding: s.PortForwarding, AgentForwarding: s.AgentForwarding,
		MFAStepUp: s.MFAStepUp, SessionTTLSeconds: s.SessionTTLSeconds, Checkout: v1.CheckoutRules(s.Checkout), Visibility: string(s.Visibility),
		Rotation: v1.RotationRules(s.Rotation), CredentialExpiresAt: s.CredentialExpiresAt, Locked: s.Locked, Role: strongest(s.Role), Roles: rolesOf(s.Role),
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, ConfirmationID: string(s.Pending),
	}
	for _, b := range s.Bindings {
		out.Bindings = append(out.Bindings, v1.Binding{ResourceID: string(b.ResourceID), AccountID: string(b.AccountID)})
	}
	out.BreakGlass.UserIDs = make([]string, 0, len(s.BreakGlass.UserIDs))
	for _, u := range s.BreakGlass.UserIDs {
		out.BreakGlass.UserIDs = append(out.BreakGlass.UserIDs, string(u))
	}
	if h := s.ValidHours; h != nil {
		out.ValidHours = &v1.ValidHours{TimeZone: h.TimeZone, Windows: make([]v1.HourWindow, 0, len(h.Windows))}
		for _, w := range h.Windows {
			out.ValidHours.Windows = append(out.ValidHours.Windows, v1.HourWindow(w))
		}
	}
	return out
}

// strongest is the role of those that somebody has by which they are called.
func strongest(r pam.SafeRole) string {
	if given := r.Given(); len(given) > 0 {
		return string(given[0])
	}
	return ""
}

func rolesOf(r pam.SafeRole) []string {
	var out []string
	for _, g := range r.Given() {
		out = append(out, string(g))
	}
	return out
}

// launches says whether a role lets its holder launch.
func launches(role string) bool {
	return role == string(pam.SafeOperator) || role == string(pam.SafeManager)
}

func safeReply(s safe.Safe, err error) (*versioned[v1.Safe], error) {
	if err != nil {
		return nil, err
	}
	return &versioned[v1.Safe]{etag(s.Version), safeOf(s)}, nil
}

func (a *API) listSafes(ctx context.Context, actor pam.Actor, in *struct {
	Sorted
	Locked    string `query:"locked" enum:"true,false"`
	Emergency string `query:"emergency" enum:"true" doc:"Those whose emergencies name the caller, also where they have no role"`
},
) (*listOf[v1.Safe], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	f := safe.Filter{Text: in.Q, Order: naming.Order(in.Sort), Emergency: in.Emergency == "true"}
	if in.Locked != "" {
		locked := in.Locked == "true"
		f.Locked = &locked
	}
	rows, err := a.Safes.List(ctx, actor, f, after, in.limit()+1)
	if err != nil {
		return nil, err
	}
	return newList("/safes", in.query("locked", in.Locked, "emergency", in.Emergency), in.Page, rows, safe.Safe.Cursor, safeOf), nil
}

func (a *API) postSafe(ctx context.Context, actor pam.Actor, in *Raw) (*versioned[v1.Safe], error) {
	body, err := decode[v1.SafeIn](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	return safeReply(a.Safes.Create(ctx, actor, settingsOf(body)))
}

func (a *API) getSafe(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.Safe], error) {
	s, err := a.Safes.ByID(ctx, actor, pam.SafeID(in.ID))
	out, err := safeReply(s, err)
	if err == nil && len(s.Bindings) > 0 && slices.ContainsFunc(out.Body.Roles, launches) {
		out.Body.SSHCommand = a.SSHCommand(actor.Email, s.Slug)
	}
	if err == nil && s.OnlyNamed {
		out.Body.EmergencyTargets, err = a.emergencyTargets(ctx, actor, s.ID)
	}
	return out, err
}

// emergencyTargets is where the Safe leads, for who is named for its
// emergencies and could not look anywhere else.
func (a *API) emergencyTargets(ctx context.Context, actor pam.Actor, id pam.SafeID) ([]v1.EmergencyTarget, error) {
	targets, err := a.Broker.EmergencyTargets(ctx, actor, id)
	var out []v1.EmergencyTarget
	for _, t := range targets {
		out = append(out, v1.EmergencyTarget{
			ResourceID: string(t.Resource.ID), ResourceName: t.Resource.Name, ResourceType: string(t.Resource.Type),
			AccountID: string(t.Account.ID), AccountName: t.Account.Name, Username: t.Account.Username,
		})
	}
	return out, err
}

func (a *API) patchSafe(ctx context.Context, actor pam.Actor, in *change) (*versioned[v1.Safe], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	old, err := a.Safes.ByID(ctx, actor, pam.SafeID(in.ID))
	if err != nil {
		return nil, err
	}
	if old.OnlyNamed {
		return nil, &pam.Error{Kind: pam.NotFound, Op: "change safe"}
	}
	body, err := decode[v1.SafeIn](a, safeIn(old), in.RawBody)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		version = old.Version // what the patch was applied to
	}
	return safeReply(a.Safes.Update(ctx, actor, old.ID, version, settingsOf(body)))
}

func (a *API) deleteSafe(ctx context.Context, actor pam.Actor, in *removal) (*nothing, error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, a.Safes.Delete(ctx, actor, pam.SafeID(in.ID), version)
}

func (a *API) lockSafe(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.Safe], error) {
	return safeReply(a.Safes.Lock(ctx, actor, pam.SafeID(in.ID)))
}

func (a *API) unlockSafe(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.Safe], error) {
	return safeReply(a.Safes.Unlock(ctx, actor, pam.SafeID(in.ID)))
}

func (a *API) takeOverSafe(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.Safe], error) {
	return safeReply(a.Safes.TakeOver(ctx, actor, pam.SafeID(in.ID)))
}

func safeMemberOf(m safe.Member) v1.SafeMember {
	return v1.SafeMember{ID: string(m.ID), SafeID: string(m.Safe), UserID: string(m.User), Email: m.Email, GroupID: string(m.Group), GroupName: m.GroupName, Role: string(m.Role), ExpiresAt: moment(m.ExpiresAt), CreatedAt: m.CreatedAt, AwaitsApproval: m.AwaitsApproval}
}

func (a *API) listSafeMembers(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Page
},
) (*listOf[v1.SafeMember], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Safes.Members(ctx, actor, pam.SafeID(in.ID), pam.MemberID(after), in.limit()+1)
	if err != nil {
		return nil, err
	}
	return newList("/safes/"+in.ID+"/members", nil, in.Page, rows, func(m safe.Member) string { return string(m.ID) }, safeMemberOf), nil
}

func (a *API) postSafeMember(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Raw
},
) (*answer[v1.SafeMember], error) {
	body, err := decode[v1.SafeMemberIn](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	m, err := a.Safes.AddMember(ctx, actor, pam.SafeID(in.ID), safe.NewMember{User: pam.UserID(body.UserID), Group: pam.GroupID(body.GroupID), Role: pam.SafeRole(body.Role), ExpiresAt: timeOf(body.ExpiresAt)})
	return reply(safeMemberOf(m), err)
}

type ByMember struct {
	ByID
	MemberID string `path:"member_id" maxLength:"64"`
}

func (a *API) getSafeMember(ctx context.Context, actor pam.Actor, in *ByMember) (*answer[v1.SafeMember], error) {
	m, err := a.Safes.Member(ctx, actor, pam.SafeID(in.ID), pam.MemberID(in.MemberID))
	return reply(safeMemberOf(m), err)
}

func (a *API) patchSafeMember(ctx context.Context, actor pam.Actor, in *struct {
	ByMember
	Raw
},
) (*answer[v1.SafeMember], error) {
	old, err := a.Safes.Member(ctx, actor, pam.SafeID(in.ID), pam.MemberID(in.MemberID))
	if err != nil {
		return nil, err
	}
	body, err := decode[v1.SafeMemberPatch](a, v1.SafeMemberPatch{Role: string(old.Role), ExpiresAt: moment(old.ExpiresAt)}, in.RawBody)
	if err != nil {
		return nil, err
	}
	m, err := a.Safes.UpdateMember(ctx, actor, pam.SafeID(in.ID), pam.MemberID(in.MemberID), pam.SafeRole(body.Role), timeOf(body.ExpiresAt))
	return reply(safeMemberOf(m), err)
}

func (a *API) deleteSafeMember(ctx context.Context, actor pam.Actor, in *ByMember) (*nothing, error) {
	return nil, a.Safes.RemoveMember(ctx, actor, pam.SafeID(in.ID), pam.MemberID(in.MemberID))
}
