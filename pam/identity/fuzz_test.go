package identity

import (
	"bytes"
	"strings"
	"testing"
)

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
