package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"vaultpam/internal/naming"
	"vaultpam/pam"
)

// What the nouns that have a name and a slug share.

// search narrows w to rows that have text in one of the columns, without
// regard to case. A column of bytes is a sort key.
func (db *DB) search(w *where, text, key string, columns ...string) {
	if text == "" {
		return
	}
	if !searchable(text) {
		w.and("FALSE")
		return
	}
	var either where
	either.and(fmt.Sprintf(db.dialect.contains, key), naming.Key(text))
	for _, c := range columns {
		either.add(db.has(c, text))
	}
	w.and(either.any(), either.args...)
}

// has is the conditions of which one holds when text is in a column, without
// regard to case. Beyond ASCII not every database knows the lower case of a
// letter; there the letters themselves are found.
func (db *DB) has(column, text string) (w where) {
	contains := fmt.Sprintf(db.dialect.contains, "lower("+column+")")
	w.and(contains, strings.ToLower(text))
	plain := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, text)
	if plain != strings.ToLower(text) {
		w.and(contains, plain)
	}
	return w
}

// any is the conditions of which one has to hold.
func (w *where) any() string { return "(" + strings.Join(w.conditions, " OR ") + ")" }

// searchable says whether a text can be in any name. PostgreSQL refuses others
// as arguments.
func searchable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

// ordering is the SQL of an order by the columns key and id: the condition for
// what comes after a cursor, and what follows ORDER BY.
func ordering(o naming.Order, key, id string, after naming.Cursor) (w where, by string) {
	return orderingBy(o, key, id, after.Key, after.ID)
}

// orderingBy is ordering for a key that is not of bytes.
func orderingBy[K []byte | string](o naming.Order, key, id string, k K, i string) (w where, by string) {
	began := i != ""
	switch o {
	case naming.ByNameDown:
		by = key + " DESC, " + id + " DESC"
		if began {
			w.and("("+key+", "+id+") < (?, ?)", k, i)
		}
	case naming.ByCreated:
		by = id
		if began {
			w.and(id+" > ?", i)
		}
	case naming.ByCreatedDown:
		by = id + " DESC"
		if began {
			w.and(id+" < ?", i)
		}
	default:
		by = key + ", " + id
		if began {
			w.and("("+key+", "+id+") > (?, ?)", k, i)
		}
	}
	return w, by
}

// pageOf is a query for one page of a table: columns of tables, of the rows
// that w chooses from the first of these; joined are the arguments of the
// others. The rows are chosen by an index that holds all that w asks for; only
// those of the page are read, which CROSS JOIN obliges SQLite to: left to
// itself it walks the whole index to spare the sorting of the page.
func pageOf(columns, tables, id string, org pam.OrgID, w where, by string, limit int, joined ...any) (string, []any) {
	base, _, _ := strings.Cut(tables, " LEFT JOIN")
	alias, column, _ := strings.Cut(id, ".")
	return "SELECT " + columns + " FROM (SELECT " + id + " FROM " + base + " WHERE " + alias + ".org_id = ?" + w.also() + " ORDER BY " + by + " LIMIT ?) AS page CROSS JOIN " +
			tables + " WHERE " + alias + ".org_id = ? AND " + id + " = page." + column + " ORDER BY " + by,
		slices.Concat([]any{org}, w.args, []any{limit}, joined, []any{org})
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
