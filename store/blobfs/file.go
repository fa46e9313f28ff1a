package blobfs

import (
	"io"
	"os"
	"syscall"

	"vaultpam/pam"
)

// ahead is how many bytes are gathered before the system is asked to begin
// writing them out, so that the next Sync finds little left to do.
const ahead = 4 << 20

// writer is a blob being written.
type writer struct {
	fs    *FS
	file  *os.File
	begun int64 // end of what writeback was asked for; WriteAt's alone
}

func (w *writer) WriteAt(p []byte, off int64) (int, error) {
	n, err := w.file.WriteAt(p, off)
	if err != nil {
		return n, worded("write blob", err)
	}
	if end := off + int64(n); end-w.begun >= ahead {
		beginWriteback(w.file, w.begun, end-w.begun)
		w.begun = end
	}
	return n, nil
}

// Sync makes content and length durable. It fails for a file that was removed
// or whose directory was: the system would go on writing it, and nobody would
// find it again.
func (w *writer) Sync() error {
	const op = "sync blob"
	if err := w.file.Sync(); err != nil {
		return worded(op, err)
	}
	if err := w.fs.there(op); err != nil {
		return err
	}
	st, err := w.file.Stat()
	if err != nil {
		return worded(op, err)
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Nlink == 0 {
		return pam.Errorf(pam.Unavailable, op, "The recording's file was removed while it was being written.")
	}
	return nil
}

func (w *writer) Close() error { return worded("close blob", w.file.Close()) }

// reader is a blob being read.
type reader struct{ file *os.File }

func (r reader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.file.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = worded("read blob", err)
	}
	return n, err
}

func (r reader) Size() (int64, error) {
	st, err := r.file.Stat()
	if err != nil {
		return 0, worded("read blob", err)
	}
	return st.Size(), nil
}

func (r reader) Close() error { return r.file.Close() }
