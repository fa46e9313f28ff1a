package sshtarget

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
	"vaultpam/test/target"
)

func uidOf(t *testing.T, s *target.SSHD) int {
	t.Helper()
	u, err := user.Lookup(s.User)
	must(t, err)
	uid, err := strconv.Atoi(u.Uid)
	must(t, err)
	return uid
}

// owned gives a file to the user of a server.
func owned(t *testing.T, s *target.SSHD, path string) {
	t.Helper()
	u, err := user.Lookup(s.User)
	must(t, err)
	gid, err := strconv.Atoi(u.Gid)
	must(t, err)
	must(t, os.Chown(path, uidOf(t, s), gid))
}

// holds checks a file's content, mode and owner.
func holds(t *testing.T, path, want string, mode os.FileMode, uid int) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s: %q %v, want %q", path, got, err, want)
	}
	info, err := os.Stat(path)
	must(t, err)
	if st := info.Sys().(*syscall.Stat_t); info.Mode().Perm() != mode || int(st.Uid) != uid {
		t.Errorf("%s: mode %v of %d, want %v of %d", path, info.Mode().Perm(), st.Uid, mode, uid)
	}
	if rest, _ := filepath.Glob(path + ".*"); len(rest) > 0 {
		t.Errorf("left behind: %q", rest)
	}
}

func TestKeysComeAndGo(t *testing.T) {
	needRoot(t)
	s := target.StartSSHD(t)
	root := target.StartSSHD(t, "AllowUsers root")
	rotator := target.StartSSHD(t)
	sudoer(t, rotator, "("+s.User+") NOPASSWD: /bin/sh")
	uid := uidOf(t, s)
	file := filepath.Join(s.Home, ".ssh", "authorized_keys")
	_, other := keyPair(t, "ed25519", "")
	for name, at := range map[string]struct {
		s    *target.SSHD
		o    Options
		user string
	}{
		"itself":  {s, by(s, s.User, ""), ""},
		"by root": {root, by(root, "root", ""), s.User},
		"by sudo": {rotator, by(rotator, rotator.User, ""), s.User},
	} {
		must(t, os.RemoveAll(filepath.Dir(file)))
		private, public := keyPair(t, "ed25519", "")
		line := Line(public) + ` app's "key" $(id) \`
		can := func(want error) {
			t.Helper()
			o := by(s, s.User, "")
			o.Login = credential(Credential{PrivateKey: private})
			private = private.Clone()
			if err := Check(t.Context(), connect(t, s), o); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
		must(t, AddKey(t.Context(), connect(t, at.s), at.o, at.user, line))
		holds(t, file, line+"\n", 0o600, uid)
		can(nil)
		// What is there otherwise stays, whatever it is.
		before := "# " + Line(public) + "\n\n  \t\nno-pty,command=\"echo \\\"a b\\\"\" " + Line(other) + " x\\n  y  \n*\n-n x"
		must(t, os.WriteFile(file, []byte(before), 0o640))
		must(t, os.Chmod(file, 0o640))
		can(ErrAuth)
		for range 2 {
			must(t, AddKey(t.Context(), connect(t, at.s), at.o, at.user, `from="127.0.0.1" `+line))
			holds(t, file, before+"\n"+`from="127.0.0.1" `+line+"\n", 0o640, uid)
		}
		can(nil)
		for range 2 {
			must(t, RemoveKey(t.Context(), connect(t, at.s), at.o, at.user, Line(public)))
			holds(t, file, before+"\n", 0o640, uid)
		}
		can(ErrAuth)
	}
	_, public := keyPair(t, "ed25519", "")
	for name, err := range map[string]error{
		"not permitted": AddKey(t.Context(), connect(t, s), by(s, s.User, ""), rotator.User, Line(public)),
		"two lines":     AddKey(t.Context(), connect(t, s), by(s, s.User, ""), "", Line(public)+"\n"+Line(other)),
		"no key":        AddKey(t.Context(), connect(t, s), by(s, s.User, ""), "", "ssh-ed25519 AAAA"),
		"a command":     AddKey(t.Context(), connect(t, root), by(root, "root", ""), "x; id", Line(public)),
		"nobody":        AddKey(t.Context(), connect(t, root), by(root, "root", ""), "vptestnobody", Line(public)),
	} {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want %v", name, err, ErrRefused)
		}
	}
	// A file of somebody else's would become the account's own.
	must(t, os.Chown(file, 0, 0))
	must(t, os.Chmod(file, 0o666))
	if err := AddKey(t.Context(), connect(t, s), by(s, s.User, ""), "", Line(public)); !errors.Is(err, ErrRefused) {
		t.Errorf("root's file: %v, want %v", err, ErrRefused)
	}
}

func TestCopiesInFilesAreReplaced(t *testing.T) {
	needRoot(t)
	s := target.StartSSHD(t)
	uid := uidOf(t, s)
	path := filepath.Join(s.Home, "it's an \"app\" $HOME .env")
	update := func(f File, value string) error {
		return UpdateFile(t.Context(), connect(t, s), by(s, s.User, ""), f, secret.FromString(value))
	}
	put := func(text string) {
		must(t, os.WriteFile(path, []byte(text), 0o640))
		must(t, os.Chmod(path, 0o640))
		owned(t, s, path)
	}
	rest := "# TOKEN=comment\nTOKEN_OTHER=x\n\\n a  *\n"
	for before, c := range map[string]struct{ value, after string }{
		"TOKEN=old":                {"new/+=1", "TOKEN=new/+=1\n"},
		"export TOKEN=old\nA=b":    {"new", "export TOKEN=new\nA=b\n"},
		"TOKEN=":                   {"new", "TOKEN=new\n"},
		"TOKEN='old'":              {`a b"$(id)#*`, `TOKEN='a b"$(id)#*'` + "\n"},
		"TOKEN=\"old\"\nLAST=1\n":  {"it's # a b*", "TOKEN=\"it's # a b*\"\nLAST=1\n"},
		"TOKEN='old'\r\nTOKENX=\n": {"", ""},
	} {
		put(rest + before)
		if c.value == "" { // what follows the quotation mark is not understood
			if err := update(File{Path: path, Key: "TOKEN"}, "new"); !errors.Is(err, ErrRefused) {
				t.Errorf("%q: %v", before, err)
			}
			holds(t, path, rest+before, 0o640, uid)
			continue
		}
		if err := update(File{Path: path, Key: "TOKEN"}, c.value); err != nil {
			t.Errorf("%q: %v", before, err)
		}
		holds(t, path, rest+c.after, 0o640, uid)
	}
	for before, value := range map[string]string{
		"TOKEN=old\nTOKEN=older\n": "new",       // which of them?
		"OTHER=old\n":              "new",       // none
		"TOKEN=old\n#2":            "two words", // would need quotation marks
		"TOKEN='old'\n":            "it's",
		"TOKEN=\"old\"\n":          "$HOME",
		"TOKEN=\"old\n more\"\n":   "new", // goes on in the next line
		"TOKEN=old\\\n more\n":     "new",
		"TOKEN='old'\n#2":          "two\nlines",
		"TOKEN='old'\n#3":          "nul\x00",
	} {
		put(before)
		if err := update(File{Path: path, Key: "TOKEN"}, value); !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), value) && value != "new" {
			t.Errorf("%q: %v, want %v", before, err, ErrRefused)
		}
		holds(t, path, before, 0o640, uid)
	}
	for _, value := range []string{"one line", "-----BEGIN KEY-----\r\nAAAA\n-----END KEY-----\n\n", "bytes \x00\xff\x01 " + odd, strings.Repeat("0123456789abcdef", 16<<10)} {
		put("old\n")
		must(t, update(File{Path: path}, value))
		holds(t, path, value, 0o640, uid)
	}
	must(t, os.Symlink(path, path+"-link"))
	for _, f := range []File{
		{Path: path + "-link"},
		{Path: s.Home + "/nothing"},
		{Path: s.Home},
		{Path: "relative"},
		{Path: s.Home + "/../x"},
		{Path: path + "\n"},
		{Path: path, Key: "A=B"},
		{Path: path, User: "root; id"},
		{Path: "/etc/hostname"},
		{Path: path, User: "root"}, // sudo does not permit it
	} {
		if err := update(f, "new"); !errors.Is(err, ErrRefused) {
			t.Errorf("%+v: %v, want %v", f, err, ErrRefused)
		}
	}
}

// An account could have root write a secret wherever it likes.
func TestAttackRootLedAstrayInAFolderOfSomebodyElse(t *testing.T) {
	needRoot(t)
	s := target.StartSSHD(t)
	root := target.StartSSHD(t, "AllowUsers root")
	uid := uidOf(t, s)
	path := filepath.Join(s.Home, "env")
	must(t, os.WriteFile(path, []byte("TOKEN=old\n"), 0o600))
	owned(t, s, path)
	if err := UpdateFile(t.Context(), connect(t, root), by(root, "root", ""), File{Path: path, Key: "TOKEN"}, secret.FromString("new")); !errors.Is(err, ErrRefused) {
		t.Errorf("%v, want %v", err, ErrRefused)
	}
	holds(t, path, "TOKEN=old\n", 0o600, uid)
	must(t, UpdateFile(t.Context(), connect(t, root), by(root, "root", ""), File{Path: path, Key: "TOKEN", User: s.User}, secret.FromString("new")))
	holds(t, path, "TOKEN=new\n", 0o600, uid)

	// In a folder of root's it is written, and stays whose it was.
	dir, err := os.MkdirTemp("/etc", "vptest")
	must(t, err)
	defer os.RemoveAll(dir)
	must(t, os.Chmod(dir, 0o755))
	path = filepath.Join(dir, "env")
	must(t, os.WriteFile(path, []byte("TOKEN=old\n"), 0o640))
	owned(t, s, path)
	must(t, UpdateFile(t.Context(), connect(t, root), by(root, "root", ""), File{Path: path, Key: "TOKEN"}, secret.FromString("new")))
	holds(t, path, "TOKEN=new\n", 0o640, uid)
}

func TestCertificatesLetIn(t *testing.T) {
	needRoot(t)
	authority := newKey(t, "ed25519")
	file := filepath.Join(t.TempDir(), "ca.pub")
	must(t, os.WriteFile(file, []byte(Line(authority.PublicKey())+"\n"), 0o644))
	s := target.StartSSHD(t, "TrustedUserCAKeys "+file)
	for kind, name := range map[string]string{"ed25519": s.User, "rsa": s.User, "ecdsa": "somebody-else"} {
		private, public := keyPair(t, kind, "")
		certificate := &ssh.Certificate{Key: public, CertType: ssh.UserCert, ValidPrincipals: []string{name}, ValidBefore: ssh.CertTimeInfinity}
		must(t, certificate.SignCert(zeros{}, authority))
		o := by(s, s.User, "")
		o.Login = credential(Credential{PrivateKey: private, Certificate: Line(certificate)})
		want := map[bool]error{false: ErrAuth}[name == s.User]
		if err := Check(t.Context(), connect(t, s), o); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", kind, err, want)
		}
		_, stranger := keyPair(t, "ed25519", "")
		for _, line := range []string{Line(public), "x", Line(certificate) + "\n", Line(stranger)} {
			o.Login = credential(Credential{PrivateKey: private.Clone(), Certificate: line})
			if err := Check(t.Context(), connect(t, s), o); !errors.Is(err, ErrAuth) {
				t.Errorf("%.20q: %v, want %v", line, err, ErrAuth)
			}
		}
	}
}
