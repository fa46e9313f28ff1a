package identity

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A key is kept in one spelling, which is taken for itself, and is one of the
// types and sizes that we take.
func FuzzKey(f *testing.F) {
	const good = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, s := range []string{
		good, " " + good + " me@laptop\r\n", "restrict " + good, "cert-authority,command=\"x\" " + good, good + "\n" + good, "# " + good, good[:40], "ssh-rsa " + good[12:],
		"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQA=", "ssh-dss AAAAB3NzaC1kc3M=", "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAAABAA==",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		key, problem := parseKey(line)
		if (key == nil) != (problem != "") {
			t.Fatalf("%q: %v and %q", line, key, problem)
		}
		if key == nil {
			return
		}
		kept := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
		again, problem := parseKey(kept)
		if problem != "" || ssh.FingerprintSHA256(again) != ssh.FingerprintSHA256(key) || strings.TrimSpace(string(ssh.MarshalAuthorizedKey(again))) != kept {
			t.Fatalf("%q is kept as %q, which is %q", line, kept, problem)
		}
		if strings.ContainsAny(kept, "\r\n\t\x00") || len(strings.Fields(kept)) != 2 {
			t.Fatalf("%q is kept as %q", line, kept)
		}
		if key.Type() == ssh.KeyAlgoRSA && (bitsOf(key) < minRSA || bitsOf(key) > maxRSA) {
			t.Fatalf("%q has %d bits", line, bitsOf(key))
		}
	})
}

// A stored hash has one spelling, and none makes a login cost without bounds.
func FuzzPHC(f *testing.F) {
	salt, key := bytes.Repeat([]byte{1}, saltSize), bytes.Repeat([]byte{2}, hashSize)
	for _, p := range []HashParams{{MemoryKiB: 8, Time: 1, Parallelism: 1}, DefaultHashParams, {MemoryKiB: maxMemoryKiB, Time: maxTime, Parallelism: 255}} {
		f.Add(formatPHC(p, salt, key))
	}
	good := formatPHC(DefaultHashParams, salt, key)
	for _, s := range []string{
		"", "$", "$$$$$", good + "$", good + "=", good + "\n", " " + good,
		strings.Replace(good, "m=", "m=+", 1), strings.Replace(good, "m=", "m=0", 1), strings.Replace(good, "t=2", "t=4294967298", 1),
		strings.Replace(good, "p=1", "p=1x", 1), strings.Replace(good, "p=1", "p=0", 1), strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "m=19456", "m=99999999999", 1), good[:len(good)-1] + "B",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, salt, key, ok := parsePHC(s)
		if !ok {
			if p != (HashParams{}) || salt != nil || key != nil {
				t.Fatalf("%q is refused and gives %+v", s, p)
			}
			return
		}
		if again := formatPHC(p, salt, key); again != s {
			t.Fatalf("%q is another spelling of %q", s, again)
		}
		if p.MemoryKiB > maxMemoryKiB || p.Time > maxTime || p.Time == 0 || p.Parallelism == 0 || len(key) < minKey || len(salt) < minSalt {
			t.Fatalf("%q is taken", s)
		}
	})
}
