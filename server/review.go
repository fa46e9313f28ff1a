package server

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/review"
	"vaultpam/pam/rulebook"
)

// decider lets the list of who can reach what ask the policies.
type decider struct{ policies *rulebook.Service }

func (d decider) Verdict(ctx context.Context, org pam.OrgID, user pam.UserID, safe pam.SafeID, at time.Time) (review.Verdict, error) {
	x, err := d.policies.Verdict(ctx, org, user, safe, at)
	out := review.Verdict{Effect: x.Effect, Rule: x.Decider(&x.Question), Message: x.Refusal(&x.Question), Reasons: x.Reasons}
	for _, t := range x.Targets {
		out.Targets = append(out.Targets, review.Target{Resource: t.Resource, Account: t.Account})
	}
	return out, err
}
