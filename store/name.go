package store

import (
	"context"

	"vaultpam/internal/naming"
	"vaultpam/pam"
)

// What the nouns that have a name and a slug share.

// cursorArgs are the arguments of "(sort_key, id) > (?, ?)".
func cursorArgs(c naming.Cursor) (key []byte, id string) {
	if c.Key == nil {
		return []byte{}, c.ID // a nil slice would be NULL
	}
	return c.Key, c.ID
}

// withSlug calls insert with the slug that was asked for or, if that is empty,
// with ones made from the name until one is free. insert ends in ON CONFLICT
// (org_id, slug) DO NOTHING and returns the number of rows; so two who want
// the same slug at once wait for each other and get different ones. taken
// counts the rows that have a slug.
func withSlug(ctx context.Context, tx *Tx, org pam.OrgID, slug, name, fallback, taken string, insert func(slug string) (int64, error)) (string, error) {
	if slug != "" {
		n, err := insert(slug)
		if err == nil && n == 0 {
			err = errSlugTaken()
		}
		return slug, err
	}
	base := naming.Slug(name, fallback)
	for n := 1; ; {
		slug := naming.Numbered(base, n)
		rows, err := insert(slug)
		if err != nil || rows == 1 {
			return slug, err
		}
		if n, err = freeSlug(ctx, tx, org, base, taken); err != nil {
			return "", err
		}
	}
}

// freeSlug returns a number that makes base a free slug. It asks few times,
// however many there are: it doubles the number until one is free and then
// looks for the first after one that is not.
func freeSlug(ctx context.Context, tx *Tx, org pam.OrgID, base, taken string) (int, error) {
	used := func(n int) (bool, error) {
		count, err := one(ctx, tx, scalar[int64], taken, org, naming.Numbered(base, n))
		return count > 0, err
	}
	low, high := 1, 2
	for {
		is, err := used(high)
		if err != nil {
			return 0, err
		}
		if !is {
			break
		}
		low, high = high, high*2
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		is, err := used(middle)
		if err != nil {
			return 0, err
		}
		if is {
			low = middle
		} else {
			high = middle
		}
	}
	return high, nil
}

// slugChange refuses a slug that another object has. The constraint is the
// boundary; this words it.
func slugChange(ctx context.Context, tx *Tx, org pam.OrgID, old, slug, taken string) error {
	if old == slug {
		return nil
	}
	n, err := one(ctx, tx, scalar[int64], taken, org, slug)
	if err == nil && n > 0 {
		err = errSlugTaken()
	}
	return err
}

func errSlugTaken() error {
	return &pam.Error{Kind: pam.Conflict, Public: "The slug is taken in this organization."}
}

// invalid refuses one field of what was to be written.
func invalid(field, problem string) error {
	var ps pam.Problems
	ps.Add(field, problem)
	return ps.Err("")
}
