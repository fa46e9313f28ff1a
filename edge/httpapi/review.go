package httpapi

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/policy"
	"vaultpam/pam/review"
)

func reasonsOf(all []policy.Reason) []v1.RuleReason {
	out := make([]v1.RuleReason, 0, len(all))
	for _, r := range all {
		out = append(out, v1.RuleReason{Rule: r.Rule, Name: r.Name, Effect: r.Effect, Why: r.Why})
	}
	return out
}

// accessOf shapes rows with the names of their targets.
func (a *API) accessOf(ctx context.Context, org pam.OrgID, rows []review.Reach) ([]v1.Access, error) {
	var ids []string
	for _, r := range rows {
		for _, t := range r.Targets {
			ids = append(ids, string(t.Resource), string(t.Account))
		}
	}
	names, err := a.Labels(ctx, org, ids)
	if err != nil {
		return nil, err
	}
	out := make([]v1.Access, 0, len(rows))
	for _, r := range rows {
		x := v1.Access{
			UserID: string(r.User), Email: r.Email, Name: r.Name, OrgRole: string(r.OrgRole), SafeID: string(r.Safe), SafeName: r.SafeName, Role: string(r.Role()),
			Grounds: make([]v1.AccessGround, 0, len(r.Ways)), Targets: make([]v1.AccessTarget, 0, len(r.Targets)),
			Decision: string(r.Effect), Rule: r.Rule, Message: r.Message, Reasons: reasonsOf(r.Reasons), LastUsedAt: moment(r.LastUsed),
		}
		for _, w := range r.Ways {
			x.Grounds = append(x.Grounds, v1.AccessGround{
				Rule: string(w.Ground), MemberID: string(w.Member), GroupID: string(w.Group), GroupName: w.GroupName, GrantID: string(w.Grant), Role: string(w.Role), ExpiresAt: moment(w.ExpiresAt),
			})
		}
		for _, t := range r.Targets {
			x.Targets = append(x.Targets, v1.AccessTarget{ResourceID: string(t.Resource), ResourceName: names[string(t.Resource)], AccountID: string(t.Account), AccountName: names[string(t.Account)]})
		}
		out = append(out, x)
	}
	return out, nil
}

// AccessFilter is what the list and the export take.
type AccessFilter struct {
	UserID     string `query:"user_id" maxLength:"64" doc:"Only what this user reaches"`
	GroupID    string `query:"group_id" maxLength:"64" doc:"Only what is reached by way of this group"`
	SafeID     string `query:"safe_id" maxLength:"64"`
	ResourceID string `query:"resource_id" maxLength:"64"`
	AccountID  string `query:"account_id" maxLength:"64"`
}

func (f AccessFilter) filter() review.ReachFilter {
	return review.ReachFilter{User: pam.UserID(f.UserID), Group: pam.GroupID(f.GroupID), Safe: pam.SafeID(f.SafeID), Resource: pam.ResourceID(f.ResourceID), Account: pam.AccountID(f.AccountID)}
}

func (a *API) listAccess(ctx context.Context, actor pam.Actor, in *struct {
	Page
	AccessFilter
},
) (*listOf[v1.Access], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, more, err := a.Reviews.Reachable(ctx, actor, in.filter(), after, in.limit())
	if err != nil {
		return nil, err
	}
	body, err := a.accessOf(ctx, actor.Org, rows)
	out := &listOf[v1.Access]{Body: body}
	if more {
		query := given("user_id", in.UserID, "group_id", in.GroupID, "safe_id", in.SafeID, "resource_id", in.ResourceID, "account_id", in.AccountID)
		out.Link = link("/access", query, in.limit(), rows[len(rows)-1].Cursor())
	}
	return out, err
}

// exportPage is how many rows of an export are read at a time.
const exportPage = 200

// table writes rows of an export: as objects, or as cells.
type table[T any] struct {
	media string
	begin func(io.Writer) error
	row   func(io.Writer, T) error
}

// tableOf is how rows are written in a format.
func tableOf[T any](format string, columns []string, cells func(T) []string) table[T] {
	if format == "csv" {
		line := func(w io.Writer, values []string) error {
			out := csv.NewWriter(w)
			for i := range values {
				values[i] = naming.Cell(values[i])
			}
			if err := out.Write(values); err != nil {
				return err
			}
			out.Flush()
			return out.Error()
		}
		return table[T]{
			"text/csv; charset=utf-8", func(w io.Writer) error { return line(w, append([]string(nil), columns...)) },
			func(w io.Writer, v T) error { return line(w, cells(v)) },
		}
	}
	return table[T]{"application/x-ndjson", func(io.Writer) error { return nil }, func(w io.Writer, v T) error { return json.NewEncoder(w).Encode(v) }}
}

func timeText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (a *API) exportAccess(ctx context.Context, actor pam.Actor, in *struct {
	AccessFilter
	Format string `query:"format" enum:"ndjson,csv" doc:"Default ndjson"`
},
) (*huma.StreamResponse, error) {
	columns := []string{"user_id", "email", "org_role", "safe_id", "safe_name", "role", "grounds", "targets", "decision", "rule", "message", "last_used_at"}
	t := tableOf(in.Format, columns, func(x v1.Access) []string {
		var grounds, targets []string
		for _, g := range x.Grounds {
			text := g.Rule + ":" + g.Role
			if g.GroupName != "" {
				text += " (" + g.GroupName + ")"
			}
			grounds = append(grounds, text)
		}
		for _, t := range x.Targets {
			targets = append(targets, t.AccountName+"@"+t.ResourceName)
		}
		return []string{x.UserID, x.Email, x.OrgRole, x.SafeID, x.SafeName, x.Role, strings.Join(grounds, "; "), strings.Join(targets, "; "), x.Decision, x.Rule, x.Message, timeText(x.LastUsedAt)}
	})
	after := ""
	return a.export(ctx, t.media, func(w io.Writer) error {
		for first := true; ; first = false {
			rows, more, err := a.Reviews.Reachable(ctx, actor, in.filter(), after, exportPage)
			if err != nil {
				return err
			}
			body, err := a.accessOf(ctx, actor.Org, rows)
			if err == nil && first {
				err = t.begin(w)
			}
			if err != nil {
				return err
			}
			for _, x := range body {
				if err := t.row(w, x); err != nil {
					return err
				}
			}
			if !more {
				return nil
			}
			after = rows[len(rows)-1].Cursor()
		}
	}), nil
}

// export streams what write writes. What fails before the first byte is an
// error like any other.
func (a *API) export(ctx context.Context, media string, write func(io.Writer) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", media)
		a.stream(ctx, hc, func(w *firstByte) error { return write(w) })
	}}
}

func reviewOf(r review.Review) v1.AccessReview {
	out := v1.AccessReview{
		ID: string(r.ID), Name: r.Name, Status: string(r.Status), SafeIDs: retype[string](r.Safes), IncludeGroups: r.Groups, DueAt: r.DueAt, OnExpiry: string(r.OnExpiry),
		CreatedBy: string(r.CreatedBy), CreatedAt: r.CreatedAt, ClosedBy: string(r.ClosedBy), ClosedAt: moment(r.ClosedAt),
		Counts: v1.AccessReviewCounts{Total: r.Counts.Total, Pending: r.Counts.Pending, Keep: r.Counts.Kept, Revoke: r.Counts.Revoked, Lapsed: r.Counts.Lapsed},
	}
	if out.SafeIDs == nil {
		out.SafeIDs = []string{}
	}
	return out
}

func reviewItemOf(i review.Item) v1.AccessReviewItem {
	return v1.AccessReviewItem{
		ID: string(i.ID), Kind: string(i.Kind), SafeID: string(i.Safe), SafeName: i.SafeName, MemberID: string(i.Member), GroupID: string(i.Group), GroupName: i.GroupName,
		UserID: string(i.User), Email: i.Email, Role: string(i.Role), RoleNow: i.Now, Since: i.Since, ExpiresAt: moment(i.ExpiresAt), LastUsedAt: moment(i.LastUsed),
		Decision: string(i.Verb), Comment: i.Comment, DecidedBy: string(i.DecidedBy), Decider: i.Decider, DecidedAt: moment(i.DecidedAt), Outcome: string(i.Outcome), CanDecide: i.Mine,
	}
}

func (a *API) listReviews(ctx context.Context, actor pam.Actor, in *struct {
	Page
	Status string `query:"status" enum:"open,closed"`
},
) (*listOf[v1.AccessReview], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Reviews.List(ctx, actor, review.Query{Status: review.Status(in.Status), After: pam.ReviewID(after), Limit: in.limit() + 1})
	if err != nil {
		return nil, err
	}
	return newList("/access-reviews", given("status", in.Status), in.Page, rows, func(r review.Review) string { return string(r.ID) }, reviewOf), nil
}

func (a *API) postReview(ctx context.Context, actor pam.Actor, in *withBody[v1.AccessReviewIn]) (*answer[v1.AccessReview], error) {
	b := in.Body
	if b.OnExpiry == "" {
		b.OnExpiry = string(review.Keep)
	}
	r, err := a.Reviews.Begin(ctx, actor, review.Settings{Name: b.Name, Safes: retype[pam.SafeID](b.SafeIDs), Groups: b.IncludeGroups, DueAt: b.DueAt, OnExpiry: review.Verb(b.OnExpiry)})
	return reply(reviewOf(r), err)
}

func (a *API) getReview(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.AccessReview], error) {
	r, err := a.Reviews.ByID(ctx, actor, pam.ReviewID(in.ID))
	return reply(reviewOf(r), err)
}

func (a *API) closeReview(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.AccessReview], error) {
	r, err := a.Reviews.Close(ctx, actor, pam.ReviewID(in.ID))
	return reply(reviewOf(r), err)
}

func (a *API) listReviewItems(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Page
	Q        string `query:"q" maxLength:"256" doc:"Only those in whose Safe's, group's or person's name this is"`
	Decision string `query:"decision" enum:"pending,keep,revoke,lapsed"`
	SafeID   string `query:"safe_id" maxLength:"64"`
},
) (*listOf[v1.AccessReviewItem], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Reviews.Items(ctx, actor, pam.ReviewID(in.ID), review.ItemQuery{
		Text: in.Q, Verb: review.Verb(in.Decision), Safe: pam.SafeID(in.SafeID), After: pam.ReviewItemID(after), Limit: in.limit() + 1,
	})
	if err != nil {
		return nil, err
	}
	return newList("/access-reviews/"+in.ID+"/items", given("q", in.Q, "decision", in.Decision, "safe_id", in.SafeID), in.Page, rows, func(i review.Item) string { return string(i.ID) }, reviewItemOf), nil
}

func (a *API) postReviewDecisions(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	withBody[v1.AccessReviewDecisionsIn]
},
) (*answer[[]v1.AccessReviewItem], error) {
	items, err := a.Reviews.Decide(ctx, actor, pam.ReviewID(in.ID), retype[pam.ReviewItemID](in.Body.ItemIDs), review.Verb(in.Body.Decision), in.Body.Comment)
	out := make([]v1.AccessReviewItem, 0, len(items))
	for _, i := range items {
		out = append(out, reviewItemOf(i))
	}
	return reply(out, err)
}

func (a *API) exportReview(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Format string `query:"format" enum:"ndjson,csv" doc:"Default ndjson"`
},
) (*huma.StreamResponse, error) {
	columns := []string{"id", "kind", "safe_id", "safe_name", "group_id", "group_name", "user_id", "email", "role", "since", "last_used_at", "decision", "outcome", "decided_by", "decider", "decided_at", "comment"}
	t := tableOf(in.Format, columns, func(i v1.AccessReviewItem) []string {
		return []string{
			i.ID, i.Kind, i.SafeID, i.SafeName, i.GroupID, i.GroupName, i.UserID, i.Email, i.Role, timeText(&i.Since), timeText(i.LastUsedAt), i.Decision, i.Outcome, i.DecidedBy, i.Decider, timeText(i.DecidedAt), i.Comment,
		}
	})
	return a.export(ctx, t.media, func(w io.Writer) error {
		var after pam.ReviewItemID
		for first := true; ; first = false {
			rows, err := a.Reviews.Items(ctx, actor, pam.ReviewID(in.ID), review.ItemQuery{After: after, Limit: exportPage})
			if err == nil && first {
				err = t.begin(w)
			}
			if err != nil {
				return err
			}
			for _, i := range rows {
				if err := t.row(w, reviewItemOf(i)); err != nil {
					return err
				}
				after = i.ID
			}
			if len(rows) < exportPage {
				return nil
			}
		}
	}), nil
}
