package kit_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/kit"
	"vaultpam/internal/secret"
	"vaultpam/internal/shamir"
)

var update = flag.Bool("update", false, "write the vector anew")

func header(shares, threshold int) kit.Header {
	return kit.Header{
		ID: "kit_01", Org: "org_01", OrgName: "Acme & Söhne", Safe: "safe_01", SafeName: "Core <routers>",
		CreatedAt: time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC), Shares: shares, Threshold: threshold,
	}
}

func entries() []kit.Entry {
	return []kit.Entry{
		{Account: "acc_01", Name: "root", Username: "root", Kind: "password", Version: 7, Resources: []kit.Resource{{Name: "db1", Type: "postgres", Host: "10.0.0.1", Port: 5432}, {Name: "db2", Type: "postgres", Host: "10.0.0.2", Port: 5432}}, Value: secret.FromString("one \"<\u00e9>\x00\xff")},
		{Account: "acc_02", Name: "empty", Kind: "token", Version: 1, Value: secret.FromString("two")},
	}
}

// stream is randomness that is the same each time.
func stream(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func sealed(t testing.TB, seed byte, shares, threshold int) ([]byte, []shamir.Share) {
	t.Helper()
	file, dealt, err := kit.Seal(header(shares, threshold), entries(), stream(seed))
	if err != nil {
		t.Fatal(err)
	}
	return file, dealt
}

func open(t testing.TB, file []byte, shares []shamir.Share) ([]kit.Entry, error) {
	t.Helper()
	k, err := kit.Parse(file)
	if err != nil {
		return nil, err
	}
	return k.Open(shares)
}

func same(t testing.TB, got []kit.Entry) {
	t.Helper()
	want := entries()
	if len(got) != len(want) {
		t.Fatalf("%d entries", len(got))
	}
	for i := range want {
		w, g := want[i], got[i]
		if !w.Value.Equal(g.Value) || w.Account != g.Account || w.Name != g.Name || w.Username != g.Username || w.Kind != g.Kind || w.Version != g.Version || !slices.Equal(w.Resources, g.Resources) {
			t.Errorf("entry %d is %+v", i, g)
		}
	}
}

// Any threshold of the shares open a kit, as they are typed in again.
func TestKitOpensWithAnyOfItsShares(t *testing.T) {
	file, shares := sealed(t, 1, 5, 3)
	for i := range shares {
		for j := range i {
			for l := range j {
				var typed []shamir.Share
				for _, n := range []int{i, j, l} {
					s, err := shamir.Parse(bytes.ToUpper(shares[n].Text()))
					if err != nil {
						t.Fatal(err)
					}
					typed = append(typed, s)
				}
				got, err := open(t, file, typed)
				if err != nil {
					t.Fatalf("%d %d %d: %v", i, j, l, err)
				}
				same(t, got)
			}
		}
	}
	got, err := open(t, file, shares)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got)
	if strings.Contains(fmt.Sprintf("%+v %v", got, shares), "two") {
		t.Error("a secret is printed")
	}
	k, err := kit.Parse(file)
	if err != nil || k.Header.SafeName != "Core <routers>" || !slices.Equal(k.Header.Accounts, []string{"acc_01", "acc_02"}) {
		t.Errorf("%+v %v", k.Header, err)
	}
}

func TestSharesThatDoNotOpenAKit(t *testing.T) {
	file, shares := sealed(t, 1, 5, 3)
	other, others := sealed(t, 2, 5, 3)
	for name, c := range map[string]struct {
		given []shamir.Share
		want  error
	}{
		"none":            {nil, kit.ErrTooFew},
		"one too few":     {shares[:2], kit.ErrTooFew},
		"one twice":       {[]shamir.Share{shares[0], shares[1], shares[0]}, kit.ErrTwice},
		"another kit's":   {others[:3], kit.ErrOther},
		"a mixed set":     {[]shamir.Share{shares[0], shares[1], others[2]}, kit.ErrOther},
		"a lying holder":  {lie(t, shares[:3], func(s *shamir.Share) { s.Index = 4 }), kit.ErrSealed},
		"a lower barrier": {lie(t, shares[:2], func(s *shamir.Share) { s.Threshold = 2 }), kit.ErrOther},
	} {
		if got, err := open(t, file, c.given); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	// A header that names another kit's shares does not make them fit.
	mine, theirs := bytes.Split(file, []byte("\n")), bytes.Split(other, []byte("\n"))
	mine[1] = theirs[1]
	if _, err := open(t, bytes.Join(mine, []byte("\n")), others); !errors.Is(err, kit.ErrSealed) {
		t.Errorf("the header of another kit: %v", err)
	}
}

func lie(t *testing.T, shares []shamir.Share, how func(*shamir.Share)) []shamir.Share {
	t.Helper()
	out := slices.Clone(shares)
	for i := range out {
		if i == len(out)-1 {
			how(&out[i])
		}
	}
	return out
}

// No byte of a kit can be another, be missing, or be one more.
func TestAlteredKitIsRefused(t *testing.T) {
	file, shares := sealed(t, 1, 3, 2)
	for i := range file {
		for _, flip := range []byte{1, 0x20, 0x80} {
			altered := bytes.Clone(file)
			altered[i] ^= flip
			if _, err := open(t, altered, shares); err == nil {
				t.Fatalf("byte %d with %#x is not missed", i, flip)
			}
		}
		if _, err := open(t, file[:i], shares); err == nil {
			t.Fatalf("%d bytes are a kit", i)
		}
	}
	for name, altered := range map[string][]byte{
		"one more line": append(bytes.Clone(file), '\n'), "more behind": append(bytes.Clone(file), file...),
		"other line ends": bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n")),
	} {
		if _, err := open(t, altered, shares); err == nil {
			t.Errorf("%s is not missed", name)
		}
	}
	for want, text := range map[error]string{kit.ErrFormat: "vaultpam-audit-1\n", kit.ErrVersion: "vaultpam-kit-2\n{}", kit.ErrDamaged: "vaultpam-kit-1\n{}\n", kit.ErrTooLarge: strings.Repeat("v", kit.MaxFile+1)} {
		if _, err := kit.Parse([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestKitIsNotMadeBeyondItsLimits(t *testing.T) {
	for _, p := range [][2]int{{1, 1}, {2, 1}, {2, 3}, {256, 3}} {
		if _, _, err := kit.Seal(header(p[0], p[1]), entries(), stream(1)); err == nil {
			t.Errorf("%d of %d are taken", p[1], p[0])
		}
	}
	if _, _, err := kit.Seal(header(3, 2), make([]kit.Entry, kit.MaxEntries+1), stream(1)); !errors.Is(err, kit.ErrTooLarge) {
		t.Error(err)
	}
	long := header(3, 2)
	long.SafeName = strings.Repeat("x", 2000)
	if _, _, err := kit.Seal(long, entries(), stream(1)); err == nil {
		t.Error("a kit that nobody could read is handed out")
	}
}

// What was sealed once opens with every later version of this program.
func TestVector(t *testing.T) {
	if *update {
		file, shares := sealed(t, 9, 3, 2)
		var text []byte
		for i := range shares {
			text = append(append(text, shares[i].Text()...), '\n')
		}
		for name, data := range map[string][]byte{"v1.kit": file, "v1.shares": text} {
			if err := os.WriteFile("testdata/"+name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	file, err := os.ReadFile("testdata/v1.kit")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/v1.shares")
	if err != nil {
		t.Fatal(err)
	}
	var shares []shamir.Share
	for _, line := range bytes.Fields(text)[1:] {
		s, err := shamir.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, s)
	}
	got, err := open(t, file, shares)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got)
}

func FuzzParse(f *testing.F) {
	file, shares := sealed(f, 1, 3, 2)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte("vaultpam-kit-1\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := kit.Parse(data)
		if err != nil {
			return
		}
		if _, err := k.Open(shares); err == nil && !bytes.Equal(data, file) {
			t.Errorf("%q opens", data)
		}
	})
}
