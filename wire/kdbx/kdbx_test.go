package kdbx

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"vaultpam/internal/secret"
)

// password locks the files in testdata, which testdata/make.sh makes with
// KeePassXC, File::KDBX and pykeepass.
const password = "pass word äöü"

func read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func shown(e Entry) string {
	s := fmt.Sprintf("%s|%s|%s|%s|%s", strings.Join(e.Groups, "/"), e.Title, e.Username, e.Password.Expose(), e.URL)
	for _, f := range e.Files {
		s += "|" + f.Name
	}
	return s
}

func TestEveryVersionCipherAndDerivationIsRead(t *testing.T) {
	for _, name := range []string{"keepassxc", "v31-aes-salsa20", "v4-chacha20-argon2d", "v41-aes-argon2id-plain"} {
		t.Run(name, func(t *testing.T) {
			entries, err := Open(read(t, name+".kdbx"), secret.FromString(password), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]Entry{}
			for _, e := range entries {
				got[shown(e)] = e
			}
			for _, want := range []string{
				"Servers/Berlin|web1|root|first-secret|ssh://web1.example.com:2222",
				"Servers|<db> & co|app|s3cr€t & <xml>|postgresql://db.example.com",
				"|Changed|changed|new-secret|",
				"|Key|deploy|||id_test",
			} {
				if _, ok := got[want]; !ok {
					t.Errorf("no %q", want)
				}
			}
			if len(got) != 4 {
				t.Errorf("%d entries, among them what was thrown away or is of old", len(got))
			}
			if file := got["|Key|deploy|||id_test"].Files; len(file) != 1 || !bytes.Equal(file[0].Data.Expose(), read(t, "id_test")) {
				t.Error("the attachment is not what was attached")
			}
		})
	}
}

func TestKeyFilesOpenWhatTheyLock(t *testing.T) {
	entries, err := Open(read(t, "keyfile.kdbx"), secret.Value{}, read(t, "keepassxc.key"))
	if err != nil || len(entries) != 1 || entries[0].Title != "web1" {
		t.Fatalf("%v, %v", entries, err)
	}
	if _, err := Open(read(t, "keyfile.kdbx"), secret.FromString("x"), read(t, "keepassxc.key")); !errors.Is(err, ErrKey) {
		t.Fatal(err)
	}
	if entries, err = Open(read(t, "pykeepass.kdbx"), secret.FromString(password), nil); err != nil || len(entries) != 1 || string(entries[0].Password.Expose()) != "first-secret" {
		t.Fatalf("%v, %v", entries, err)
	}
	raw := bytes.Repeat([]byte{7}, 32)
	for name, text := range map[string]string{
		"XML 2":         `<?xml version="1.0"?><KeyFile><Meta><Version>2.0</Version></Meta><Key><Data Hash="AB">` + strings.Repeat("07 ", 32) + `</Data></Key></KeyFile>`,
		"XML 1":         `<KeyFile><Meta><Version>1.00</Version></Meta><Key><Data>BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=</Data></Key></KeyFile>`,
		"hexadecimal":   strings.Repeat("07", 32),
		"the key alone": string(raw),
	} {
		if key, err := readKeyFile([]byte(text)); err != nil || !bytes.Equal(key, raw) {
			t.Errorf("%s: %x, %v", name, key, err)
		}
	}
	if _, err := readKeyFile([]byte(`<KeyFile><Key><Data>x</Data></Key></KeyFile>`)); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
}

func TestWrongPasswordAndChangedFileAreToldFromEachOtherAtMostByThem(t *testing.T) {
	for _, name := range []string{"keepassxc.kdbx", "v31-aes-salsa20.kdbx", "v4-chacha20-argon2d.kdbx"} {
		file := read(t, name)
		if _, err := Open(file, secret.FromString("wrong"), nil); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "keepassxc.kdbx" {
			continue // its derivation takes too long to do it often
		}
		for at := 12; at < len(file); at += 97 {
			changed := bytes.Clone(file)
			changed[at] ^= 1
			if _, err := Open(changed, secret.FromString(password), nil); err == nil {
				t.Errorf("%s: byte %d was changed, and nobody noticed", name, at)
			}
		}
		for n := 0; n < len(file); n += 101 {
			if _, err := Open(file[:n], secret.FromString(password), nil); err == nil {
				t.Errorf("%s: cut at %d, and nobody noticed", name, n)
			}
		}
	}
	if _, err := Open(read(t, "v4-twofish.kdbx"), secret.FromString(password), nil); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}

// The attack: a file that asks for all memory or an hour of work before anybody
// can know that it is not what it says.
func TestFileThatAsksForTooMuchIsRefusedBeforeAnyWork(t *testing.T) {
	patch := func(name, key string, value uint64) []byte {
		file := read(t, name)
		at := bytes.Index(file, []byte(key))
		if at < 0 {
			t.Fatalf("%s has no %s", name, key)
		}
		at += len(key) + 4
		if binary.LittleEndian.Uint32(file[at-4:]) == 8 {
			binary.LittleEndian.PutUint64(file[at:], value)
		} else {
			binary.LittleEndian.PutUint32(file[at:], uint32(value))
		}
		return file
	}
	for name, file := range map[string][]byte{
		"memory":      patch("v4-chacha20-argon2d.kdbx", "\x01\x00\x00\x00M", 1<<40),
		"iterations":  patch("v4-chacha20-argon2d.kdbx", "\x01\x00\x00\x00I", 1<<40),
		"product":     patch("v4-chacha20-argon2d.kdbx", "\x01\x00\x00\x00M", 1<<64-1),
		"passes":      patch("v41-aes-argon2id-plain.kdbx", "\x01\x00\x00\x00I", maxIterations+1),
		"rounds":      patch("keepassxc.kdbx", "\x01\x00\x00\x00R", 1<<60),
		"parallelism": patch("v4-chacha20-argon2d.kdbx", "\x01\x00\x00\x00P", 1<<16),
	} {
		_, err := Open(file, secret.FromString(password), nil)
		if !errors.Is(err, ErrLimit) && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(make([]byte, MaxFile+1), secret.FromString(password), nil); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

type clearText struct{}

func (clearText) XORKeyStream(dst, src []byte) { copy(dst, src) }

func TestXMLThatGrowsOrNestsIsRefused(t *testing.T) {
	root := func(s string) string { return "<KeePassFile><Root>" + s + "</Root></KeePassFile>" }
	for name, text := range map[string]string{
		"entities":        `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + root("<Group><Name>&b;</Name></Group>"),
		"unknown entity":  root("<Group><Name>&b;</Name></Group>"),
		"external entity": `<!DOCTYPE x SYSTEM "file:///etc/passwd">` + root(""),
		"depth":           root(strings.Repeat("<Group>", 200) + strings.Repeat("</Group>", 200)),
		"another root":    "<html></html>",
		"not closed":      "<KeePassFile><Root>",
		"not base64":      root(`<Group><Entry><String><Key>Password</Key><Value Protected="True">CANARY!</Value></String></Entry></Group>`),
	} {
		entries, err := readXML([]byte(text), clearText{}, nil)
		if err == nil || len(entries) > 0 || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v, %v", name, entries, err)
		}
	}
	entries, err := readXML([]byte(root("<Group><Entry/><Group><Name>a</Name><UUID>x</UUID><Entry/></Group></Group>")), clearText{}, nil)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	binned := "<KeePassFile><Meta><RecycleBinUUID>x</RecycleBinUUID></Meta><Root><Group><Group><Entry/><Group><Entry/></Group><UUID>x</UUID></Group><Entry/></Group></Root></KeePassFile>"
	if entries, err = readXML([]byte(binned), clearText{}, nil); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestArgon2dIsThatOfTheStandard(t *testing.T) {
	fill := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	got := argon2d(fill(1, 32), fill(2, 16), fill(3, 8), fill(4, 12), 3, 32, 4, 32) // RFC 9106, section 5.1
	if want := "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb"; hex.EncodeToString(got) != want {
		t.Fatalf("%x", got)
	}
	if bytes.Equal(got, argon2.IDKey(fill(1, 32), fill(2, 16), 3, 32, 4, 32)) {
		t.Fatal("it is Argon2id")
	}
}

func FuzzOpen(f *testing.F) {
	for _, name := range []string{"v31-aes-salsa20.kdbx", "v4-chacha20-argon2d.kdbx", "v41-aes-argon2id-plain.kdbx"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		h, _, err := readHeader(file)
		if err != nil {
			return
		}
		if d, err := readDictionary(h.fields[kdfParameters]); err == nil && (d.number("M") > 1<<22 || d.number("I") > 10 || d.number("R") > 10_000) {
			return // it is the rest that is looked at
		}
		if h.major == 3 && binary.LittleEndian.Uint64(h.fields[transformRounds]) > 10_000 {
			return
		}
		entries, err := Open(file, secret.FromString(password), nil)
		if err != nil && len(entries) > 0 {
			t.Fatal("entries beside an error")
		}
	})
}

// What is behind the key is out of reach for the fuzzer above.
func FuzzInner(f *testing.F) {
	f.Add([]byte("\x01\x04\x00\x00\x00\x03\x00\x00\x00\x02\x01\x00\x00\x00k\x03\x03\x00\x00\x00\x00ab\x00\x00\x00\x00\x00<KeePassFile><Root><Group><Entry><Binary><Key>a</Key><Value Ref=\"0\"/></Binary></Entry></Group></Root></KeePassFile>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		inner, stream, files, err := readInner(text)
		if err != nil {
			return
		}
		if entries, err := readXML(inner, stream, files); err != nil && len(entries) > 0 {
			t.Fatal("entries beside an error")
		}
	})
}
