//go:build linux && amd64

package vault_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"vaultpam/internal/clock"
	"vaultpam/vault"
	"vaultpam/vault/sealfile"
)

const veil = 0xa5

// witness remembers the randomness that it gave out, veiled, so that it can be
// looked for in memory without being there.
type witness struct {
	mu    sync.Mutex
	drawn [][]byte
}

func (w *witness) Read(p []byte) (int, error) {
	n, err := rand.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drawn = append(w.drawn, veiled(bytes.Clone(p[:min(n, 32)])))
	return n, err
}

func veiled(b []byte) []byte {
	for i := range b {
		b[i] ^= veil
	}
	return b
}

// contains looks for what is veiled without unveiling it anywhere.
func contains(memory, secret []byte) bool {
	for {
		i := bytes.IndexByte(memory, secret[0]^veil)
		if i < 0 || len(memory)-i < len(secret) {
			return false
		}
		same := true
		for j := 1; same && j < len(secret); j++ {
			same = memory[i+j] == secret[j]^veil
		}
		if same {
			return true
		}
		memory = memory[i+1:]
	}
}

// inMemory says which of the veiled secrets this process holds.
func inMemory(t *testing.T, secrets [][]byte) (found []int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	check(t, err)
	mem, err := os.Open("/proc/self/mem")
	check(t, err)
	defer mem.Close()
	seen := map[int]bool{}
	page := make([]byte, 1<<20)
	defer clear(page)
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n != 3 || !strings.HasPrefix(mode, "rw") {
			continue
		}
		for ; from < to; from += int64(len(page)) / 2 {
			n, _ := mem.ReadAt(page[:min(int64(len(page)), to-from)], from)
			for i, s := range secrets {
				if !seen[i] && contains(page[:n], s) {
					seen[i] = true
					found = append(found, i)
				}
			}
		}
	}
	return found
}

func TestASealedVaultHasNoKeyThatOpensValuesInMemory(t *testing.T) {
	keys, path := initialized(t)
	file, err := sealfile.Open(path)
	check(t, err)
	w := &witness{}
	keys.Meta = nil // made anew under the eyes of the witness
	v := vault.New(keys, file, clock.Real{}, w)
	check(t, v.Init(t.Context()))
	check(t, v.Unseal(t.Context()))
	mustOpen(t, v, bindA, seal(t, v, bindA, mark), mark)
	_, err = v.Sign(t.Context(), orgA, []byte("message"))
	check(t, err)
	// In the order of drawing: root key, organization key, data key of the
	// value, seed of the signing key, data key of the seed. The last three
	// open no other value, and crypto/ed25519 keeps the seed until the garbage
	// collector takes it, see Lock.
	names := []string{"root key", "organization key"}
	if len(w.drawn) != 5 {
		t.Fatalf("%d draws", len(w.drawn))
	}
	wanted := w.drawn[:len(names)]
	if found := inMemory(t, wanted); len(found) != len(wanted) {
		t.Fatalf("the search proves something only if it finds the keys in use; it found %v", found)
	}
	v.Lock()
	for _, i := range inMemory(t, wanted) {
		t.Errorf("the %s is still in memory", names[i])
	}
}
