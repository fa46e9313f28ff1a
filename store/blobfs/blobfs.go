// Package blobfs keeps blobs as files below one directory, the default place
// of recordings.
//
// It must not know what is in a blob, nor invent names: it accepts those that
// are made of our own ids and nothing else. Start at [Open].
package blobfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/recording"
)

// DefaultReserve is how much must be free before a blob is created: what is
// being recorded already shall find room to end properly.
const DefaultReserve = 64 << 20

// FS is a directory of blobs. It is safe for concurrent use.
type FS struct {
	dir     string // for comparing and for the log
	root    *os.Root
	reserve uint64
}

var _ recording.Blobs = (*FS)(nil)

// Open makes the directory if it is missing (mode 0700) and opens it. Every
// later access stays below it, whatever names or links say. reserve is the
// number of bytes that must be free before a blob is created; below zero takes
// DefaultReserve.
func Open(dir string, reserve int64) (*FS, error) {
	const op = "open blob directory"
	if reserve < 0 {
		reserve = DefaultReserve
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, worded(op, err)
	}
	// A directory that was there before may be open to others.
	if err := os.Chmod(abs, 0o700); err != nil {
		return nil, worded(op, err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, worded(op, err)
	}
	return &FS{dir: abs, root: root, reserve: uint64(reserve)}, nil
}

// Close gives the directory back. Open blobs stay usable.
func (f *FS) Close() error { return f.root.Close() }

// path returns where a blob lies: two levels of directories from the random
// end of its id, so that no directory grows beyond what tools can list.
func path(name string) (dir, file string, err error) {
	id, _ := strings.CutSuffix(name, ".cut")
	if !ids.Valid(pam.PrefixRecording, id) {
		return "", "", pam.Errorf(pam.Invalid, "", "that is not the name of a blob")
	}
	n := len(id)
	dir = id[n-2:] + "/" + id[n-4:n-2]
	return dir, dir + "/" + name, nil
}

// Check implements [recording.Blobs].
func (f *FS) Check(_ context.Context) error {
	const op = "check blob directory"
	if err := f.there(op); err != nil {
		return err
	}
	if err := syscall.Access(f.dir, 2); err != nil { // W_OK
		return worded(op, err)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(f.dir, &st); err != nil {
		return worded(op, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < f.reserve {
		return pam.Errorf(pam.Unavailable, op, "The recordings directory has %d MiB free; %d MiB are kept in reserve.", free>>20, f.reserve>>20)
	}
	return nil
}

// there says whether the directory that was opened is still the one at its
// path: a removed or replaced directory can be written to, but never read
// again after a restart.
func (f *FS) there(op string) error {
	opened, err := f.root.Stat(".")
	if err == nil {
		var now fs.FileInfo
		if now, err = os.Stat(f.dir); err == nil && os.SameFile(opened, now) {
			return nil
		}
	}
	return &pam.Error{Kind: pam.Unavailable, Op: op, Public: "The recordings directory is gone.", Err: err}
}

// Create implements [recording.Blobs].
func (f *FS) Create(ctx context.Context, name string) (recording.BlobWriter, error) {
	const op = "create blob"
	dir, file, err := path(name)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	if err := f.Check(ctx); err != nil {
		return nil, pam.Wrap(op, err)
	}
	if err := f.root.MkdirAll(dir, 0o700); err != nil {
		return nil, worded(op, err)
	}
	w, err := f.open(op, file, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	for _, d := range []string{dir, filepath.Dir(dir), "."} {
		if err := f.syncDir(d); err != nil {
			_ = w.Close()
			_ = f.root.Remove(file)
			return nil, worded(op, err)
		}
	}
	return w, nil
}

func (f *FS) syncDir(name string) error {
	d, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Resume implements [recording.Blobs].
func (f *FS) Resume(_ context.Context, name string, size int64) (recording.BlobWriter, error) {
	const op = "resume blob"
	_, file, err := path(name)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	w, err := f.open(op, file, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := w.file.Truncate(size); err != nil {
		_ = w.Close()
		return nil, worded(op, err)
	}
	return w, nil
}

// open opens a file for its only writer. The lock ends with the process, and
// keeps a second server on the same directory away from what the first one is
// still writing.
func (f *FS) open(op, file string, flags int) (*writer, error) {
	h, err := f.root.OpenFile(file, flags, 0o600)
	if err != nil {
		return nil, f.missing(op, err)
	}
	if err := syscall.Flock(int(h.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = h.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &pam.Error{Kind: pam.Conflict, Op: op, Public: "The blob is being written.", Err: err}
		}
		return nil, worded(op, err)
	}
	return &writer{fs: f, file: h}, nil
}

// Open implements [recording.Blobs].
func (f *FS) Open(_ context.Context, name string) (recording.BlobReader, error) {
	const op = "open blob"
	_, file, err := path(name)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	h, err := f.root.Open(file)
	if err != nil {
		return nil, f.missing(op, err)
	}
	if st, err := h.Stat(); err != nil || !st.Mode().IsRegular() {
		_ = h.Close()
		return nil, &pam.Error{Kind: pam.Unavailable, Op: op, Public: "The blob is not a file.", Err: err}
	}
	return reader{h}, nil
}

// Delete implements [recording.Blobs].
func (f *FS) Delete(_ context.Context, name string) error {
	const op = "delete blob"
	dir, file, err := path(name)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if err := f.root.Remove(file); err != nil {
		return f.missing(op, err)
	}
	return worded(op, f.syncDir(dir))
}

// missing tells an absent blob from an absent directory: only the first may
// ever be taken as "there is no such recording".
func (f *FS) missing(op string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		if gone := f.there(op); gone != nil {
			return gone
		}
	}
	return worded(op, err)
}

// worded gives an error of the system its kind and a sentence that an operator
// can act on.
func worded(op string, err error) error {
	e := &pam.Error{Kind: pam.Unavailable, Op: op, Err: err}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Public = "The disk of the recordings directory is full."
	case errors.Is(err, syscall.EROFS):
		e.Public = "The recordings directory is read-only."
	case errors.Is(err, fs.ErrPermission):
		e.Public = "The recordings directory does not allow writing."
	case errors.Is(err, syscall.EIO):
		e.Public = "The disk of the recordings directory reports an error."
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		e.Public = "Too many files are open."
	case errors.Is(err, fs.ErrExist):
		e.Kind, e.Public = pam.Conflict, "The blob exists."
	case errors.Is(err, fs.ErrNotExist):
		e.Kind, e.Public = pam.NotFound, "No such blob."
	}
	return e
}
