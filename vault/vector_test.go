package vault_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/vault"
	"vaultpam/vault/sealfile"
	"vaultpam/vault/vaulttest"
)

var update = flag.Bool("update", false, "write the vectors of the present version anew")

// vectors is testdata/v*.json: what a reader in another language needs to
// check itself. Bytes are in hexadecimal, unless said otherwise.
type vectors struct {
	KeyFile     string        `json:"key_file"` // text
	WrappedRoot string        `json:"wrapped_root"`
	RootKey     string        `json:"root_key"`
	OrgKeys     []orgKey      `json:"organization_keys"`
	SigningKeys []signingKey  `json:"signing_keys"`
	Values      []sealedValue `json:"values"`
}

type orgKey struct {
	Org     pam.OrgID `json:"organization"`
	Version uint32    `json:"version"`
	Key     string    `json:"key"`
	Wrapped string    `json:"wrapped"`
}

type signingKey struct {
	Org     pam.OrgID `json:"organization"`
	Seed    string    `json:"seed"`
	DataKey string    `json:"data_key"`
	Public  string    `json:"public"`
	Sealed  string    `json:"sealed"`
}

type sealedValue struct {
	Org        pam.OrgID `json:"organization"`
	Purpose    string    `json:"purpose"`
	Object     string    `json:"object"`
	Version    int64     `json:"version"`
	KeyVersion uint32    `json:"key_version"`
	Plaintext  string    `json:"plaintext"`
	DataKey    string    `json:"data_key"`
	Associated string    `json:"associated_data"`
	Sealed     string    `json:"sealed"`
}

func (v sealedValue) binding() pam.Binding {
	return pam.Binding{Org: v.Org, Purpose: v.Purpose, Object: v.Object, Version: v.Version}
}

// counter gives out the bytes 0, 1, 2, … and remembers its draws.
type counter struct {
	next  byte
	draws [][]byte
}

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = c.next
		c.next++
	}
	c.draws = append(c.draws, bytes.Clone(p))
	return len(p), nil
}

// take returns the 32 bytes with which the oldest draw of n bytes began, and
// forgets the draws up to it.
func (c *counter) take(t *testing.T, n int) string {
	t.Helper()
	for i, d := range c.draws {
		if len(d) == n {
			c.draws = c.draws[i+1:]
			return hex.EncodeToString(d[:32])
		}
	}
	t.Fatalf("no draw of %d bytes", n)
	return ""
}

// How much randomness each thing takes; part of what the vectors fix.
const (
	drawKey      = 32           // a root key, a seed
	drawOrgKey   = 32 + 12      // key, nonce
	drawEnvelope = 32 + 12 + 12 // data key, nonce of the head, nonce of the value
)

// makeVectors makes them from fixed randomness.
func makeVectors(t *testing.T) vectors {
	t.Helper()
	random, keys := &counter{}, &vaulttest.Keys{}
	path := filepath.Join(t.TempDir(), "root.key")
	file, err := sealfile.Create(path, random)
	check(t, err)
	text, err := os.ReadFile(path)
	check(t, err)
	random.take(t, drawKey) // it is in the file
	v := vault.New(keys, file, clock.Real{}, random)
	check(t, v.Init(t.Context()))
	check(t, v.Unseal(t.Context()))
	out := vectors{KeyFile: string(text), WrappedRoot: hex.EncodeToString(keys.Meta.Root), RootKey: random.take(t, drawKey)}

	sealOne := func(keyVersion uint32, b pam.Binding, plaintext string) {
		sealed := seal(t, v, b, plaintext)
		out.Values = append(out.Values, sealedValue{
			Org: b.Org, Purpose: b.Purpose, Object: b.Object, Version: b.Version, KeyVersion: keyVersion, DataKey: random.take(t, drawEnvelope),
			Plaintext: hex.EncodeToString([]byte(plaintext)), Associated: hex.EncodeToString(vault.Associated(b, keyVersion)), Sealed: hex.EncodeToString(sealed),
		})
	}
	keepKey := func(org pam.OrgID, version uint32) {
		out.OrgKeys = append(out.OrgKeys, orgKey{
			Org: org, Version: version, Key: random.take(t, drawOrgKey), Wrapped: hex.EncodeToString(keys.Orgs[org][version].Wrapped),
		})
	}
	for _, b := range []pam.Binding{bindA, {Org: pam.InstanceOrg, Purpose: "server.host-key", Object: "key_01ARZ3NDEKTSV4RRFFQ69G5FAV", Version: 7}} {
		draws := len(random.draws)
		check(t, ignore(v.Seal(t.Context(), b, nil))) // makes the key
		random.draws = random.draws[draws:]
		keepKey(b.Org, 1)
		random.take(t, drawEnvelope)
		sealOne(1, b, "correct horse battery staple")
	}
	sealOne(1, bindA, "")
	public, err := v.PublicKey(t.Context(), orgA)
	check(t, err)
	out.SigningKeys = []signingKey{{
		Org: orgA, Seed: random.take(t, drawKey), DataKey: random.take(t, drawEnvelope),
		Public: hex.EncodeToString(public), Sealed: hex.EncodeToString(keys.Signing[orgA].Sealed),
	}}
	rotate(t, v, keys, orgA, 2)
	keepKey(orgA, 2)
	v.Lock() // forgets that key 1 was the newest
	check(t, v.Unseal(t.Context()))
	sealOne(2, bindA, "Motörhead")
	return out
}

func ignore[T any](_ T, err error) error { return err }

func TestTheFormatIsWhatItWas(t *testing.T) {
	got := makeVectors(t)
	const path = "testdata/v1.json"
	if *update {
		b, err := json.MarshalIndent(got, "", "  ")
		check(t, err)
		check(t, os.MkdirAll("testdata", 0o755))
		check(t, os.WriteFile(path, append(b, '\n'), 0o644))
	}
	if diff := cmp.Diff(readVectors(t, path), got); diff != "" {
		t.Errorf("the same keys and values give other bytes (-want +got):\n%s", diff)
	}
}

func readVectors(t *testing.T, path string) (v vectors) {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	check(t, json.Unmarshal(b, &v))
	return v
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	check(t, err)
	return b
}

func TestValuesOfEveryReleasedVersionOpen(t *testing.T) {
	files, err := filepath.Glob("testdata/v*.json")
	check(t, err)
	if len(files) == 0 {
		t.Fatal("no vectors")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want := readVectors(t, file)
			path := filepath.Join(t.TempDir(), "root.key")
			check(t, os.WriteFile(path, []byte(want.KeyFile), 0o600))
			keys := &vaulttest.Keys{Meta: &vault.Meta{SealKind: "keyfile", Root: unhex(t, want.WrappedRoot)}}
			for _, k := range want.OrgKeys {
				check(t, keys.AddOrgKey(t.Context(), vault.OrgKey{Org: k.Org, Version: k.Version, Wrapped: unhex(t, k.Wrapped)}))
			}
			for _, k := range want.SigningKeys {
				check(t, keys.AddSigningKey(t.Context(), vault.SigningKey{Org: k.Org, Public: unhex(t, k.Public), Sealed: unhex(t, k.Sealed)}))
			}
			v := unsealed(t, keys, path)
			for _, value := range want.Values {
				mustOpen(t, v, value.binding(), unhex(t, value.Sealed), string(unhex(t, value.Plaintext)))
			}
			for _, k := range want.SigningKeys {
				sig, err := v.Sign(t.Context(), k.Org, []byte("message"))
				check(t, err)
				if !verify(unhex(t, k.Public), []byte("message"), sig.Sig) {
					t.Error("signed with another key")
				}
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	keys, path := initialized(f)
	v := unsealed(f, keys, path)
	genuine := seal(f, v, bindA, mark)
	f.Add(genuine)
	f.Add(genuine[:vault.Overhead])
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add([]byte{2, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if bytes.Equal(sealed, genuine) {
			return
		}
		mustRefuse(t, v, bindA, sealed, nil)
	})
}

func BenchmarkSeal(b *testing.B) {
	keys, path := initialized(b)
	v := unsealed(b, keys, path)
	value := []byte(strings.Repeat("p", 32))
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := v.Seal(b.Context(), bindA, value); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	keys, path := initialized(b)
	v := unsealed(b, keys, path)
	sealed := seal(b, v, bindA, strings.Repeat("p", 32))
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := v.Open(b.Context(), bindA, sealed); err != nil {
				b.Error(err)
			}
		}
	})
}
