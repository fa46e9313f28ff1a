package blobfs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vaultpam/pam"
)

const name = "rec_01ARZ3NDEKTSV4RRFFQ69G5FAV"

func open(t *testing.T, dir string) *FS {
	t.Helper()
	f, err := Open(dir, 0)
	check(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestABlobIsReadWhileItIsWritten(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "a", "b"))
	w, err := f.Create(t.Context(), name)
	check(t, err)
	r, err := f.Open(t.Context(), name)
	check(t, err)
	defer r.Close()
	var want []byte
	for i := range 6 {
		p := bytes.Repeat([]byte{byte('a' + i)}, 1<<20)
		_, err := w.WriteAt(p, int64(len(want)))
		check(t, err)
		want = append(want, p...)
		check(t, w.Sync())
		if n, err := r.Size(); err != nil || n != int64(len(want)) {
			t.Fatalf("size %d, %v", n, err)
		}
	}
	check(t, w.Close())
	got, err := io.ReadAll(io.NewSectionReader(r, 0, 1<<30))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	w, err = f.Resume(t.Context(), name, 10)
	check(t, err)
	_, err = w.WriteAt([]byte("end"), 10)
	check(t, err)
	check(t, w.Close())
	if n, _ := r.Size(); n != 13 {
		t.Errorf("after the cut the size is %d", n)
	}
	check(t, f.Delete(t.Context(), name))
	if _, err := f.Open(t.Context(), name); !pam.Is(err, pam.NotFound) {
		t.Errorf("after deletion: %v", err)
	}
	if err := f.Delete(t.Context(), name); !pam.Is(err, pam.NotFound) {
		t.Errorf("a second deletion: %v", err)
	}
}

func TestNobodyElseMayReadTheFiles(t *testing.T) {
	dir := t.TempDir()
	check(t, os.Chmod(dir, 0o755))
	f := open(t, dir)
	w, err := f.Create(t.Context(), name)
	check(t, err)
	check(t, w.Close())
	files := 0
	check(t, filepath.Walk(dir, func(p string, st os.FileInfo, err error) error {
		check(t, err)
		want := os.FileMode(0o700)
		if !st.IsDir() {
			want = 0o600
			files++
		}
		if st.Mode().Perm() != want {
			t.Errorf("%s has mode %v", p, st.Mode())
		}
		return nil
	}))
	if files != 1 {
		t.Errorf("%d files", files)
	}
}

func TestNamesThatAreNoIdsAreRefused(t *testing.T) {
	f := open(t, t.TempDir())
	for _, bad := range []string{"", ".", "..", "/etc/passwd", "../" + name, name + "/x", name + ".cut.cut", name + ".tmp", "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", name + "\x00", "rec_../../../../../etc/passwd0"} {
		_, err1 := f.Create(t.Context(), bad)
		_, err2 := f.Open(t.Context(), bad)
		_, err3 := f.Resume(t.Context(), bad, 0)
		err4 := f.Delete(t.Context(), bad)
		for _, err := range []error{err1, err2, err3, err4} {
			if !pam.Is(err, pam.Invalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
}

// Somebody who can write into the directory puts a link to another file where
// a blob will be, or where one is read.
func TestLinksDoNotLeadOutOfTheDirectory(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	check(t, os.WriteFile(secret, []byte("secret"), 0o600))
	f := open(t, dir)
	_, file, err := path(name)
	check(t, err)
	check(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700))
	check(t, os.Symlink(secret, filepath.Join(dir, file)))
	if _, err := f.Open(t.Context(), name); err == nil {
		t.Error("a link out of the directory is read")
	}
	if _, err := f.Create(t.Context(), name); err == nil {
		t.Error("a link out of the directory is created through")
	}
	if _, err := f.Resume(t.Context(), name, 0); err == nil {
		t.Error("a link out of the directory is cut")
	}
	check(t, os.RemoveAll(filepath.Join(dir, "AV")))
	check(t, os.Symlink(outside, filepath.Join(dir, "AV")))
	if _, err := f.Create(t.Context(), name); err == nil {
		t.Error("a directory's link out of the directory is followed")
	}
	if b, _ := os.ReadFile(secret); string(b) != "secret" {
		t.Errorf("the file outside holds %q", b)
	}
}

func TestABlobHasOneWriter(t *testing.T) {
	dir := t.TempDir()
	f, other := open(t, dir), open(t, dir)
	w, err := f.Create(t.Context(), name)
	check(t, err)
	if _, err := f.Create(t.Context(), name); !pam.Is(err, pam.Conflict) {
		t.Errorf("created twice: %v", err)
	}
	if _, err := other.Resume(t.Context(), name, 0); !pam.Is(err, pam.Conflict) {
		t.Errorf("resumed while written: %v", err)
	}
	check(t, w.Close())
	w, err = other.Resume(t.Context(), name, 0)
	check(t, err)
	check(t, w.Close())
}

func TestNothingIsCreatedBelowTheReserve(t *testing.T) {
	f, err := Open(t.TempDir(), 1<<62)
	check(t, err)
	defer f.Close()
	for _, err := range []error{f.Check(t.Context()), func() error { _, err := f.Create(t.Context(), name); return err }()} {
		if !pam.Is(err, pam.Unavailable) || !strings.Contains(err.Error(), "reserve") {
			t.Errorf("got %v", err)
		}
	}
}

func TestADirectoryThatGoesAwayIsNoticed(t *testing.T) {
	for what, remove := range map[string]func(string) error{
		"removed":  os.RemoveAll,
		"renamed":  func(d string) error { return os.Rename(d, d+".old") },
		"replaced": func(d string) error { return errors.Join(os.Rename(d, d+".old"), os.Mkdir(d, 0o700)) },
	} {
		dir := filepath.Join(t.TempDir(), "recordings")
		f := open(t, dir)
		w, err := f.Create(t.Context(), name)
		check(t, err)
		check(t, w.Sync())
		check(t, f.Check(t.Context()))
		check(t, remove(dir))
		_, cerr := f.Create(t.Context(), strings.Replace(name, "V", "W", 1))
		for where, err := range map[string]error{"sync": w.Sync(), "create": cerr, "check": f.Check(t.Context())} {
			if !pam.Is(err, pam.Unavailable) || !strings.Contains(err.Error(), "gone") {
				t.Errorf("%s, %s: %v", what, where, err)
			}
		}
		if _, err := f.Open(t.Context(), "rec_01ARZ3NDEKTSV4RRFFQ69G5FAW"); !pam.Is(err, pam.Unavailable) {
			t.Errorf("%s: an absent blob in an absent directory: %v", what, err)
		}
		check(t, w.Close())
	}
}

func TestAFileThatIsRemovedWhileWrittenIsNoticed(t *testing.T) {
	f := open(t, t.TempDir())
	w, err := f.Create(t.Context(), name)
	check(t, err)
	check(t, f.Delete(t.Context(), name))
	if err := w.Sync(); !pam.Is(err, pam.Unavailable) {
		t.Errorf("got %v", err)
	}
	check(t, w.Close())
}

func TestFaultsOfTheSystemAreWordedForTheOperator(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOSPC: "full", syscall.EDQUOT: "full", syscall.EROFS: "read-only", syscall.EACCES: "does not allow", syscall.EIO: "reports an error",
	} {
		err := worded("write blob", &os.PathError{Op: "write", Path: "/secret/place", Err: errno})
		var e *pam.Error
		if !errors.As(err, &e) || e.Kind != pam.Unavailable || !strings.Contains(e.Public, want) || !errors.Is(err, errno) || strings.Contains(e.Public, "/secret") {
			t.Errorf("%v: %v", errno, err)
		}
	}
	if worded("x", nil) != nil {
		t.Error("no error became one")
	}
}
