package recording

import (
	"context"
	"errors"

	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// A recording's key stands, sealed, in the head of its file, and the head is
// under the chain and the seal of the file. So a rotation of the vault's keys
// leaves the file alone and keeps the key, sealed anew, beside the row.

// openKey opens the key of a recording. The caller wipes it.
func (s *Service) openKey(ctx context.Context, r Recording, h *fileHeader) (secret.Value, error) {
	sealed, err := s.store.RecordingKey(ctx, r.Org, r.ID)
	switch {
	case pam.Is(err, pam.NotFound):
		sealed = h.sealedKey
	case err != nil:
		return secret.Value{}, &readError{err}
	}
	return s.sealer.Open(ctx, keyBinding(r.Org, r.ID), sealed)
}

// SealedKey returns the key that stands in the file of a recording, as it is
// sealed there; NotFound where there is no file. It is for the rotation of keys
// alone.
func (s *Service) SealedKey(ctx context.Context, org pam.OrgID, id pam.RecordingID) ([]byte, error) {
	const op = "read the recording's sealed key"
	blob, err := s.blobs.Open(ctx, string(id))
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	defer blob.Close()
	size, err := blob.Size()
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	sc, err := newScanner(blob, size)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	if sc.header.org != org || sc.header.id != id {
		return nil, pam.Wrap(op, errors.New("the file is of another recording"))
	}
	return sc.header.sealedKey, nil
}
