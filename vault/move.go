package vault

import (
	"context"
	"errors"

	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// unwrapRoot opens the list of root keys, which the caller wipes.
func unwrapRoot(ctx context.Context, seal RootSeal, meta Meta) (secret.Value, error) {
	if meta.SealKind != seal.Kind() {
		return secret.Value{}, pam.Errorf(pam.Unavailable, "", "The vault is sealed by %s, but %s was configured.", meta.SealKind, seal.Kind())
	}
	list, err := seal.Unwrap(ctx, meta.Root, rootAD)
	switch {
	case errors.Is(err, ErrNotYet):
		err = &pam.Error{Kind: pam.Unavailable, Public: "The vault waits for more shares.", Err: err}
	case errors.Is(err, ErrWrongKey):
		err = &pam.Error{Kind: pam.Unavailable, Public: "This is not the key that the vault was sealed with.", Err: err}
	case err != nil:
		err = &pam.Error{Kind: pam.Unavailable, Public: "The root key of the vault cannot be opened.", Err: err}
	}
	return list, err
}

// Opens says whether a seal opens the root keys.
func Opens(ctx context.Context, meta Meta, seal RootSeal) error {
	list, err := unwrapRoot(ctx, seal, meta)
	list.Wipe()
	return pam.Wrap("open root key", err)
}

// errMove says that a seal does not give back what it was given.
var errMove = errors.New("vault: the new seal does not open what it has wrapped")

// Rewrap wraps the root keys of meta, which from opens, with another seal, and
// has that one prove that it opens them. Nothing is kept: the caller puts what
// it returns in the place of meta, if that is still there.
func Rewrap(ctx context.Context, meta Meta, from, to RootSeal) (Meta, error) {
	const op = "move root key"
	list, err := unwrapRoot(ctx, from, meta)
	if err != nil {
		return Meta{}, pam.Wrap(op, err)
	}
	defer list.Wipe()
	if roots, err := parseRoots(list.Expose()); err != nil {
		return Meta{}, pam.Wrap(op, err)
	} else {
		roots.wipe()
	}
	wrapped, err := to.Wrap(ctx, list.Expose(), rootAD)
	if err != nil {
		return Meta{}, pam.Wrap(op, err)
	}
	moved := Meta{SealKind: to.Kind(), Root: wrapped, CreatedAt: meta.CreatedAt}
	again, err := unwrapRoot(ctx, to, moved)
	if err != nil {
		return Meta{}, pam.Wrap(op, err)
	}
	defer again.Wipe()
	if !again.Equal(list) {
		return Meta{}, pam.Wrap(op, errMove)
	}
	return moved, nil
}
