package krl

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func signer(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// revoked asks OpenSSH whether a certificate is on a list.
func revoked(t *testing.T, list []byte, ca ssh.Signer, serial uint64) bool {
	t.Helper()
	dir := t.TempDir()
	c := &ssh.Certificate{Key: signer(t).PublicKey(), Serial: serial, CertType: ssh.UserCert, KeyId: "k", ValidPrincipals: []string{"root"}, ValidBefore: ssh.CertTimeInfinity}
	if err := c.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"krl": list, "cert.pub": ssh.MarshalAuthorizedKey(c)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("ssh-keygen", "-Q", "-f", filepath.Join(dir, "krl"), filepath.Join(dir, "cert.pub")).CombinedOutput()
	said := string(out)
	switch {
	case err == nil && said == filepath.Join(dir, "cert.pub")+" (no comment): ok\n", err == nil && len(said) > 3 && said[len(said)-3:] == "ok\n":
		return false
	case err != nil && len(said) > 8 && said[len(said)-8:] == "REVOKED\n":
		return true
	}
	t.Fatalf("ssh-keygen -Q: %v\n%s", err, said)
	return false
}

func TestOpenSSHReadsTheList(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Fatal("this test needs ssh-keygen: run make test-deps")
	}
	ca, other := signer(t), signer(t)
	list := List{Version: 7, GeneratedAt: time.Unix(1_700_000_000, 0), Comment: "of a test", Authorities: []Authority{
		{PublicKey: ca.PublicKey().Marshal(), Serials: []uint64{9, 3, 1 << 62, 3, 0}},
		{PublicKey: other.PublicKey().Marshal()},
	}}.Marshal()
	for _, serial := range []uint64{3, 9, 1 << 62} {
		if !revoked(t, list, ca, serial) {
			t.Errorf("serial %d is not revoked", serial)
		}
		if revoked(t, list, other, serial) {
			t.Errorf("serial %d of the other authority is revoked", serial)
		}
	}
	if revoked(t, list, ca, 4) {
		t.Error("a serial that is not listed is revoked")
	}
	if revoked(t, List{GeneratedAt: time.Unix(1, 0)}.Marshal(), ca, 3) {
		t.Error("an empty list revokes")
	}
}

func TestListIsTheSameBytesAsEver(t *testing.T) {
	got := hex.EncodeToString(List{Version: 2, GeneratedAt: time.Unix(3, 0), Comment: "c", Authorities: []Authority{{PublicKey: []byte("ca"), Serials: []uint64{5, 4}}}}.Marshal())
	const want = "5353484b524c0a00" + "00000001" + "0000000000000002" + "0000000000000003" + "0000000000000000" + "00000000" + "0000000163" +
		"01" + "0000001f" + "000000026361" + "00000000" + "20" + "00000010" + "0000000000000004" + "0000000000000005"
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

// FuzzMarshal: whatever is revoked, the list says so once, in order, and its
// lengths are those of what follows.
func FuzzMarshal(f *testing.F) {
	f.Add(uint64(1), "", []byte("ca"), []byte{0, 0, 0, 0, 0, 0, 0, 5})
	f.Fuzz(func(t *testing.T, version uint64, comment string, ca, numbers []byte) {
		want := map[uint64]bool{}
		var serials []uint64
		for ; len(numbers) >= 8; numbers = numbers[8:] {
			n := binary.BigEndian.Uint64(numbers)
			serials = append(serials, n)
			if n != 0 {
				want[n] = true
			}
		}
		rest := List{Version: version, Comment: comment, Authorities: []Authority{{PublicKey: ca, Serials: serials}}}.Marshal()
		next := func(n int) []byte {
			if len(rest) < n {
				t.Fatal("the list is cut")
			}
			out := rest[:n]
			rest = rest[n:]
			return out
		}
		field := func() []byte { return next(int(binary.BigEndian.Uint32(next(4)))) }
		next(36)
		field()
		if string(field()) != comment {
			t.Fatal("another comment")
		}
		if len(want) == 0 {
			if len(rest) != 0 {
				t.Fatal("an empty section")
			}
			return
		}
		next(1)
		section := field()
		if len(rest) != 0 {
			t.Fatal("something follows")
		}
		rest = section
		if string(field()) != string(ca) {
			t.Fatal("another authority")
		}
		field()
		next(1)
		rest = field()
		for before := uint64(0); len(rest) > 0; {
			n := binary.BigEndian.Uint64(next(8))
			if n <= before || !want[n] {
				t.Fatal("not in order, or not revoked")
			}
			before = n
			delete(want, n)
		}
		if len(want) != 0 {
			t.Fatal("something is left out")
		}
	})
}
