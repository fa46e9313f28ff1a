package script

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	v1 "vaultpam/api/v1"
)

func base(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	must(t, err)
	return b
}

func hashesFrom(t testing.TB, texts []string) (out []tlog.Hash) {
	t.Helper()
	for _, s := range texts {
		if s != "" {
			out = append(out, tlog.Hash(base(t, s)))
		}
	}
	return out
}

// What a page is given is enough to check an event and a recording by itself.
func TestAPageChecksEvidenceByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	auditor := w.who["auditor"]
	events := read[[]v1.AuditEvent](auditor.call("GET", "/audit-events?type=RECORDING_SEALED&target_id="+w.shared.recording, nil))
	if len(events) != 1 {
		t.Fatalf("%d events of the seal", len(events))
	}
	checkpoint := read[v1.Checkpoint](auditor.call("GET", "/audit-log/checkpoint", nil))
	proof := read[v1.Proof](auditor.call("GET", fmt.Sprintf("/audit-log/proof?leaf_index=%d&tree_size=%d", *events[0].LeafIndex, checkpoint.TreeSize), nil))

	// The checkpoint's signature.
	text, signature, ok := strings.Cut(checkpoint.Note, "\n\n")
	fields := strings.Fields(signature)
	key := base(t, checkpoint.PublicKey)
	if !ok || len(fields) != 3 || !ed25519.Verify(key, []byte(text+"\n"), base(t, fields[2])[4:]) {
		t.Errorf("the note is not signed by the key beside it: %q", checkpoint.Note)
	}
	lines := strings.Split(text, "\n")
	if lines[0] != "vaultpam/"+w.founder.org || lines[1] != fmt.Sprint(checkpoint.TreeSize) || lines[2] != checkpoint.RootHash {
		t.Errorf("%q is not the checkpoint that is described", text)
	}
	// The event.
	leaf := sha256.Sum256(append([]byte{0}, proof.Event...))
	if hex.EncodeToString(leaf[:]) != events[0].LeafHash || proof.LeafHash != events[0].LeafHash {
		t.Error("the event's bytes are not what was hashed")
	}
	if err := tlog.CheckRecord(hashesFrom(t, proof.Hashes), checkpoint.TreeSize, tlog.Hash(base(t, lines[2])), *events[0].LeafIndex, leaf); err != nil {
		t.Error(err)
	}
	var event v1.AuditEvent
	must(t, json.Unmarshal([]byte(proof.Event), &event))
	root := fmt.Sprint(event.Metadata["root_hash"])
	if event.ID != events[0].ID || root != fmt.Sprint(events[0].Metadata["root_hash"]) {
		t.Errorf("the event that is proven is another one: %s", proof.Event)
	}

	// The recording whose root the event holds.
	operator := w.who["operator"]
	path := "/recordings/" + w.shared.recording
	chunks := read[v1.RecordingChunks](operator.call("GET", path+"/chunks", nil))
	if chunks.Seal == nil || chunks.RootHash != root || chunks.OrganizationKey != checkpoint.PublicKey || chunks.Seal.PublicKey != checkpoint.PublicKey ||
		!ed25519.Verify(key, []byte(chunks.Seal.Statement), base(t, chunks.Seal.Signature)) || !strings.Contains(chunks.Seal.Statement, "\nroot "+root+"\n") {
		t.Errorf("%+v", chunks)
	}
	want, err := hex.DecodeString(root)
	must(t, err)
	prev := sha256.Sum256(base(t, chunks.Header))
	for _, c := range chunks.Chunks {
		a := operator.call("GET", fmt.Sprintf("%s/chunks/%d", path, c.N), nil).want(http.StatusOK)
		hash := sha256.Sum256(a.body)
		if a.header.Get("Content-Type") != "application/octet-stream" || a.header.Get("X-Chunk-Count") != fmt.Sprint(len(chunks.Chunks)) || !bytes.Equal(a.body[40:72], prev[:]) {
			t.Errorf("chunk %d: %v", c.N, a.header)
		}
		if err := tlog.CheckRecord(hashesFrom(t, strings.Split(a.header.Get("X-Chunk-Proof"), ",")), int64(len(chunks.Chunks)), tlog.Hash(want), c.N, tlog.RecordHash(hash[:])); err != nil || hex.EncodeToString(hash[:]) != c.Hash {
			t.Errorf("chunk %d: %v", c.N, err)
		}
		prev = hash
	}
	for _, n := range []string{fmt.Sprint(len(chunks.Chunks)), "99999999999", "-1", "x"} {
		if a := operator.call("GET", path+"/chunks/"+n, nil); a.status != http.StatusNotFound && a.status != http.StatusUnprocessableEntity {
			t.Errorf("chunk %s: %d", n, a.status)
		}
	}

	// The key: noted, and never kept.
	before := len(auditor.events("RECORDING_OPENED"))
	first := operator.call("POST", path+"/key", nil, "Idempotency-Key", "twice")
	if len(base(t, read[v1.RecordingKey](first).Key)) != 32 {
		t.Errorf("%s", first.body)
	}
	if opened := auditor.events("RECORDING_OPENED"); len(opened) != before+1 || opened[0].Actor.ID != operator.id || opened[0].Target.ID != w.shared.recording {
		t.Errorf("%d events more", len(opened)-before)
	}
	operator.call("POST", path+"/key", nil, "Idempotency-Key", "twice").want(http.StatusConflict)
}
