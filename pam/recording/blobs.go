package recording

import (
	"context"
	"io"
)

// Blobs keeps the bytes of recordings under names that are made of ids only.
// Errors carry a Kind: NotFound for a name that is not there, Conflict for one
// that is there already or is being written by somebody else, Unavailable with
// a sentence for the operator when the store itself cannot be used (full,
// gone, read-only).
type Blobs interface {
	// Create makes a new, empty blob whose name is durable on return.
	Create(ctx context.Context, name string) (BlobWriter, error)
	// Resume opens an existing blob for writing and cuts it to size bytes.
	Resume(ctx context.Context, name string, size int64) (BlobWriter, error)
	// Open opens an existing blob for reading, also while it is being written.
	Open(ctx context.Context, name string) (BlobReader, error)
	// Delete removes a blob. A name that is not there is NotFound.
	Delete(ctx context.Context, name string) error
	// Check says whether blobs can be created now.
	Check(ctx context.Context) error
}

// BlobWriter writes one blob from front to back. Only what was written after
// the last Sync that succeeded is ever written again, with the same bytes:
// after a failed Sync the system may have dropped what it held.
type BlobWriter interface {
	io.WriterAt
	// Sync returns once all that was written is durable. It may run at the
	// same time as WriteAt, and then covers what was written before its call.
	Sync() error
	// Close does not imply Sync.
	Close() error
}

// BlobReader reads one blob.
type BlobReader interface {
	io.ReaderAt
	// Size is the length of the blob at present.
	Size() (int64, error)
	Close() error
}
