package recording

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"vaultpam/pam"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vectorFacts is testdata/v1.json: what a reader in another language needs to
// check itself with testdata/v1.vpamrec.
type vectorFacts struct {
	Key       string   `json:"key"`
	PublicKey string   `json:"public_key"`
	Chunks    int64    `json:"chunks"`
	End       string   `json:"end"`
	Root      string   `json:"root"`
	Statement string   `json:"statement"`
	Frames    []string `json:"frames"` // "microseconds kind hex"
}

func vector(tb testing.TB) (file, key []byte) {
	tb.Helper()
	file, err := os.ReadFile("testdata/v1.vpamrec")
	check(tb, err)
	b, err := os.ReadFile("testdata/v1.json")
	check(tb, err)
	var facts vectorFacts
	check(tb, json.Unmarshal(b, &facts))
	key, err = hex.DecodeString(facts.Key)
	check(tb, err)
	return file, key
}

// readVector says everything that follows from a file and its key.
func readVector(tb testing.TB, file, key []byte) vectorFacts {
	tb.Helper()
	sc, err := newScanner(bytes.NewReader(file), int64(len(file)))
	check(tb, err)
	defer sc.close()
	check(tb, sc.unlock(key))
	f := vectorFacts{Key: hex.EncodeToString(key)}
	for !sc.final() {
		h, frames, err := sc.next()
		check(tb, err)
		for at := h.from; len(frames) > 0; {
			var fr Frame
			fr, at, frames, err = nextFrame(frames, at)
			check(tb, err)
			line, err := json.Marshal(at)
			check(tb, err)
			f.Frames = append(f.Frames, string(line)+" "+string(fr.Kind)+" "+hex.EncodeToString(fr.Data))
		}
	}
	st := sc.statement()
	pub := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)).Public().(ed25519.PublicKey)
	_, err = sc.seal(pub)
	check(tb, err)
	f.PublicKey, f.Chunks, f.End, f.Root, f.Statement = hex.EncodeToString(pub), st.chunks, hex.EncodeToString(st.end[:]), hex.EncodeToString(st.root[:]), string(st.encode())
	return f
}

func TestFilesOfVersion1StayReadable(t *testing.T) {
	if *update {
		writeVector(t)
	}
	file, key := vector(t)
	got, err := json.MarshalIndent(readVector(t, file, key), "", "  ")
	check(t, err)
	want, err := os.ReadFile("testdata/v1.json")
	check(t, err)
	if !bytes.Equal(append(got, '\n'), want) {
		t.Errorf("got %s", got)
	}
}

func writeVector(t *testing.T) {
	r := newRig(t)
	key := make([]byte, keySize)
	for i := range key {
		key[i] = byte(i)
	}
	r.rand = bytes.NewReader(key)
	row := Recording{
		ID: "rec_01ARZ3NDEKTSV4RRFFQ69G5FAV", Org: testOrg, SessionID: "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", UserID: testUser, SafeID: testSafe,
		Protocol: pam.SSH, Status: InProgress, StartedAt: epoch,
	}
	r.store.rows[row.ID] = row
	w, err := r.Start(t.Context(), StartOptions{Recording: row, Cols: 80, Rows: 24, Input: true})
	check(t, err)
	check(t, w.Output([]byte("$ ")))
	r.clock.Advance(1234567 * time.Microsecond)
	check(t, w.Input([]byte("ls\r")))
	r.waitDurable(t, w)
	check(t, w.Resize(132, 50))
	check(t, w.Output(bytes.Repeat([]byte("compressible line\r\n"), 20)))
	r.waitDurable(t, w)
	r.clock.Advance(time.Second)
	check(t, w.Marker("warning", "60 seconds left"))
	check(t, w.File(File{Direction: "upload", Path: "/tmp/x", Size: 0, SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}))
	_, err = w.Close(t.Context())
	check(t, err)
	file := r.blobs.get(row.ID)
	facts, err := json.MarshalIndent(readVector(t, file, key), "", "  ")
	check(t, err)
	check(t, os.MkdirAll("testdata", 0o755))
	check(t, os.WriteFile("testdata/v1.vpamrec", file, 0o644))
	check(t, os.WriteFile("testdata/v1.json", append(facts, '\n'), 0o644))
}
