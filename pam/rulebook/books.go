package rulebook

import (
	"context"
	"log/slog"
	"sync"

	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// maxBooks is how many organizations' rules are kept ready.
const maxBooks = 1024

// Books keeps the active policies of organizations compiled, so that a
// decision reads no policy. It is safe for concurrent use.
//
// A book is thrown away when one of its policies has changed, before whoever
// changed it gets an answer: Changed must be subscribed to the store. With
// shared, other nodes change policies too and word of it may be late, so that
// each question compares versions first.
type Books struct {
	store  BookStore
	shared bool
	log    *slog.Logger

	mu    sync.Mutex // guards what follows
	books map[pam.OrgID]*compiled
	// epoch counts the changes heard of, so that what was read before one is
	// not kept after it.
	epoch int64
}

// BookStore is what Books reads.
type BookStore interface {
	PolicyBook(ctx context.Context, org pam.OrgID) (Book, error)
	PolicyBookVersion(ctx context.Context, org pam.OrgID) (int64, error)
}

// compiled is a Book made ready. It does not change.
type compiled struct {
	version int64
	safes   policy.Book
}

// NewBooks makes empty Books.
func NewBooks(store BookStore, shared bool, log *slog.Logger) *Books {
	return &Books{store: store, shared: shared, log: log, books: map[pam.OrgID]*compiled{}}
}

// Changed hears of a committed change; subscribe it to the store.
func (b *Books) Changed(c pam.Change) {
	if c.Subject != pam.SubjectPolicy {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch++
	delete(b.books, c.Org)
}

// Rules returns the rules of the organization's Safes, as they are now. An
// error is a no.
func (b *Books) Rules(ctx context.Context, org pam.OrgID) (policy.Book, error) {
	c, err := b.book(ctx, org)
	if err != nil {
		return nil, pam.Wrap("read policies", err)
	}
	return c.safes, nil
}

func (b *Books) book(ctx context.Context, org pam.OrgID) (*compiled, error) {
	b.mu.Lock()
	c, epoch := b.books[org], b.epoch
	b.mu.Unlock()
	if c != nil {
		if !b.shared {
			return c, nil
		}
		version, err := b.store.PolicyBookVersion(ctx, org)
		if err != nil || version == c.version {
			return c, err
		}
	}
	read, err := b.store.PolicyBook(ctx, org)
	if err != nil {
		return nil, err
	}
	if c, err = compile(read); err != nil {
		b.log.Error("a policy cannot be read, so nothing is decided by the policies of its organization", "org", org, "error", err)
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.epoch == epoch { // else it may be of before a change; this question was asked before it, too
		if len(b.books) >= maxBooks {
			clear(b.books)
		}
		b.books[org] = c
	}
	return c, nil
}

func compile(b Book) (*compiled, error) {
	out := &compiled{version: b.Version, safes: policy.Book{}}
	for _, p := range b.Policies {
		r, err := policy.Compile(p.spec())
		if err != nil {
			return nil, &pam.Error{Kind: pam.Internal, Op: "compile policy " + string(p.ID), Err: err}
		}
		for _, id := range p.SafeIDs {
			out.safes[id] = append(out.safes[id], r)
		}
	}
	for id, rules := range out.safes {
		out.safes[id] = policy.NewSet(rules...)
	}
	return out, nil
}
