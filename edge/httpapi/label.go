package httpapi

import (
	"context"

	"vaultpam/pam"
)

// Labels finds the names by which people know objects of org. An id that is
// not there any more has none.
type Labels func(ctx context.Context, org pam.OrgID, ids []string) (names map[string]string, err error)

// label is an id in an answer, and where its name goes.
type label struct {
	id   string
	name *string
}

// nameRows fills in the names of all rows with one question.
func nameRows[T any](ctx context.Context, find Labels, org pam.OrgID, rows []T, labelsOf func(*T) []label) error {
	var labels []label
	for i := range rows {
		labels = append(labels, labelsOf(&rows[i])...)
	}
	ids := make([]string, len(labels))
	for i, l := range labels {
		ids[i] = l.id
	}
	names, err := find(ctx, org, ids)
	for _, l := range labels {
		*l.name = names[l.id]
	}
	return err
}
