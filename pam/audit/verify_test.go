package audit_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/audit/audittest"
)

var update = flag.Bool("update", false, "write the generated documents")

const org = pam.OrgID("org_01ARZ3NDEKTSV4RRFFQ69G5FAV")

// counter is randomness that a test can repeat.
type counter struct{ n byte }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		c.n++
		p[i] = c.n
	}
	return len(p), nil
}

type world struct {
	store  *audittest.Store
	log    *audit.Log
	scribe *audit.Scribe
	clock  *clock.Manual
	reader pam.Actor
}

func newWorld(events int) *world {
	c := clock.NewManual(time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC))
	scribe := audit.NewScribe(c, ids.NewSource(c, &counter{}))
	s := audittest.New()
	w := &world{s, audit.NewLog(s, audittest.NewSigner(7), scribe, c), scribe, c, pam.Actor{Org: org, Role: pam.Auditor, User: "usr_1", Email: "a@example.com"}}
	w.append(events)
	return w
}

func (w *world) append(n int) {
	for i := range n {
		w.clock.Advance(time.Second)
		e := w.scribe.Entry(w.reader, audit.SafeCreated, audit.Party{Type: "safe", ID: fmt.Sprint(i), Name: "=SUM(A1) \"quoted\"\nline, é"}, map[string]any{"n": int64(i), "list": []string{"a", "b"}, "yes": true})
		if err := w.store.Append(context.Background(), org, e); err != nil {
			panic(err)
		}
	}
}

func (w *world) export(t testing.TB, o audit.ExportOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := w.log.Export(t.Context(), w.reader, o, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func verify(text string, o audit.VerifyOptions) (audit.Report, error) {
	return audit.Verify(strings.NewReader(text), o)
}

func TestAWholeExportVerifiesInBothFormatsAtEverySizeAroundATile(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 254, 255, 256, 257, 511, 512, 700} {
		w := newWorld(n)
		for _, format := range []string{"ndjson", "csv"} {
			r, err := verify(w.export(t, audit.ExportOptions{Format: format}), audit.VerifyOptions{})
			if err != nil {
				t.Fatalf("%d events, %s: %v", n, format, err)
			}
			// The export of each format is an event itself.
			if r.Events != r.TreeSize || r.Events < int64(n)+1 {
				t.Errorf("%d events, %s: %+v", n, format, r)
			}
		}
	}
}

func TestASpanOfTimeVerifiesAgainstTheWholeTree(t *testing.T) {
	w := newWorld(600)
	start := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct{ from, to int }{{0, 100}, {100, 300}, {255, 258}, {300, 0}, {599, 600}, {700, 800}} {
		o := audit.ExportOptions{From: start.Add(time.Duration(c.from) * time.Second)}
		if c.to > 0 {
			o.To = start.Add(time.Duration(c.to) * time.Second)
		}
		text := w.export(t, o)
		r, err := verify(text, audit.VerifyOptions{})
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if lines := strings.Count(text, "\n"); r.Events != int64(lines)-1 {
			t.Errorf("%v: %d events in %d lines", c, r.Events, lines)
		}
	}
}

func TestEveryTamperingOfAnExportIsFoundAndNamed(t *testing.T) {
	w := newWorld(300)
	if _, err := w.log.Checkpoint(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	w.append(50)
	good := w.export(t, audit.ExportOptions{})
	lines := strings.SplitAfter(strings.TrimSuffix(good, "\n"), "\n")
	edit := func(f func(l []string) []string) string { return strings.Join(f(append([]string(nil), lines...)), "") }
	for name, c := range map[string]struct {
		text, want string
	}{
		"edited":             {edit(func(l []string) []string { l[10] = strings.Replace(l[10], `"n":10`, `"n":11`, 1); return l }), "leaf 10"},
		"removed":            {edit(func(l []string) []string { return append(l[:10], l[11:]...) }), "leaves 10 to 10 are missing"},
		"removed at the end": {edit(func(l []string) []string { return append(l[:349], l[len(l)-1]) }), "are missing"},
		"reordered":          {edit(func(l []string) []string { l[10], l[11] = l[11], l[10]; return l }), "leaves 10 to 10 are missing"},
		"repeated":           {edit(func(l []string) []string { return append(l[:11], l[10:]...) }), "stands again"},
		"cut":                {edit(func(l []string) []string { return l[:200] }), "it was cut"},
		"empty":              {"", "it was cut"},
		"rubbish":            {edit(func(l []string) []string { l[5] = "{}\n"; return l }), "not an event"},
		"hash edited":        {edit(func(l []string) []string { l[5] = flipLeafHash(l[5]); return l }), "leaf 5"},
		"after the end":      {good + lines[0], "it was cut"},
		"signature":          {strings.Replace(good, "— vaultpam/", "— vaultpbm/", 1), "checkpoint"},
	} {
		r, err := verify(c.text, audit.VerifyOptions{})
		if bad, ok := errors.AsType[*audit.BadPlace](err); !ok || !strings.Contains(bad.Error(), c.want) {
			t.Errorf("%s: %v, report %+v; want %q", name, err, r, c.want)
		}
	}
}

func flipLeafHash(line string) string {
	i := strings.Index(line, `"leaf_hash":"`) + len(`"leaf_hash":"`)
	c := byte('0')
	if line[i] == '0' {
		c = '1'
	}
	return line[:i] + string(c) + line[i+1:]
}

// Somebody with the database edits an event and computes every hash anew.
func TestAnEventThatWasHashedAnewIsRefusedByTheNextCheckpoint(t *testing.T) {
	w := newWorld(300)
	if _, err := w.log.Checkpoint(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	forge(w, 20)
	if c, err := w.log.Checkpoint(t.Context(), org); err == nil {
		t.Fatalf("signed %+v", c)
	}
	var b bytes.Buffer
	if err := w.log.Export(t.Context(), w.reader, audit.ExportOptions{}, &b); err == nil || b.Len() > 0 {
		t.Errorf("exported %d bytes, %v", b.Len(), err)
	}
}

// The same, and all signed checkpoints are removed as well: only one that was
// kept elsewhere can tell.
func TestAForgedHistoryIsFoundAgainstACheckpointKeptElsewhere(t *testing.T) {
	w := newWorld(300)
	kept, err := w.log.Checkpoint(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	forge(w, 20)
	w.store.Signed = map[pam.OrgID][]audit.Checkpoint{}
	text := w.export(t, audit.ExportOptions{})
	if _, err := verify(text, audit.VerifyOptions{}); err != nil {
		t.Fatalf("without the kept checkpoint there is nothing to find: %v", err)
	}
	if _, err := verify(text, audit.VerifyOptions{Checkpoint: kept.Note}); err == nil || !strings.Contains(err.Error(), "the first 300 events are not those that were signed") {
		t.Errorf("%v", err)
	}
}

func TestTruncationAndRollbackAreFoundAgainstACheckpointKeptElsewhere(t *testing.T) {
	w := newWorld(300)
	first, err := w.log.Checkpoint(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	w.append(300)
	kept, err := w.log.Checkpoint(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	old := newWorld(300) // the database as it was
	text := old.export(t, audit.ExportOptions{})
	file := first.Note + "\n" + strings.Replace(kept.Note, string(org), "org_OTHER", 1) + "\n" + kept.Note
	if _, err := verify(text, audit.VerifyOptions{Checkpoint: file}); err == nil || !strings.Contains(err.Error(), "truncated or rolled back") {
		t.Errorf("%v", err)
	}
	if r, err := verify(w.export(t, audit.ExportOptions{}), audit.VerifyOptions{Checkpoint: file, Key: keyOf(t, w)}); err != nil || !r.KeyTrusted || r.Checkpoints < 3 {
		t.Errorf("%+v, %v", r, err)
	}
	// A log that goes on after the rollback is forked.
	old.append(400)
	if _, err := verify(old.export(t, audit.ExportOptions{}), audit.VerifyOptions{Checkpoint: kept.Note}); err == nil {
		t.Error("a forked log verifies against the checkpoint of the other branch")
	}
}

func keyOf(t *testing.T, w *world) string {
	t.Helper()
	key, err := w.log.VerifierKey(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// forge edits an event in the store and makes all hashes fit.
func forge(w *world, at int) {
	leaves := w.store.Leaves[org]
	leaves[at].Canonical = bytes.Replace(leaves[at].Canonical, []byte(`"yes":true`), []byte(`"yes":false`), 1)
	fresh := audittest.New()
	for _, l := range leaves {
		e := l.Entry
		if c, _ := e.Canonical(); !bytes.Equal(c, l.Canonical) {
			e.Metadata = map[string]any{"n": int64(at), "list": []string{"a", "b"}, "yes": false}
		}
		if err := fresh.Append(context.Background(), org, e); err != nil {
			panic(err)
		}
	}
	w.store.Leaves, w.store.TileRows = fresh.Leaves, fresh.TileRows
}

func TestAnotherKeyIsNotTaken(t *testing.T) {
	w := newWorld(5)
	text := w.export(t, audit.ExportOptions{})
	other := audit.NewLog(audittest.New(), audittest.NewSigner(8), w.scribe, w.clock)
	key, err := other.VerifierKey(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(text, audit.VerifyOptions{Key: key}); err == nil {
		t.Error("an export signed by another key verifies")
	}
}

func TestOnlyThoseWhoMayReadTheLogReadIt(t *testing.T) {
	w := newWorld(3)
	for role, want := range map[pam.Role]bool{pam.Owner: true, pam.Admin: true, pam.Auditor: true, pam.PolicyManager: false, pam.Operator: false, "": false} {
		a := w.reader
		a.Role = role
		_, _, err := w.log.List(t.Context(), a, false, audit.Filter{})
		if (err == nil) != want {
			t.Errorf("%s: %v", role, err)
		}
		if _, _, err := w.log.List(t.Context(), a, true, audit.Filter{}); err == nil {
			t.Errorf("%s reads the instance's log", role)
		}
	}
	a := w.reader
	a.InstanceAdmin = true
	if _, _, err := w.log.List(t.Context(), a, true, audit.Filter{}); err != nil {
		t.Error(err)
	}
	a.Token = pam.PersonalToken
	if _, _, err := w.log.List(t.Context(), a, true, audit.Filter{}); err == nil {
		t.Error("a personal access token reads the instance's log")
	}
}

func TestAnExportThatCannotBeNotedDoesNotHappen(t *testing.T) {
	w := newWorld(3)
	w.store.AppendError = errors.New("disk full")
	var b bytes.Buffer
	if err := w.log.Export(t.Context(), w.reader, audit.ExportOptions{}, &b); err == nil || b.Len() > 0 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

func FuzzVerify(f *testing.F) {
	w := newWorld(5)
	var b bytes.Buffer
	if err := w.log.Export(context.Background(), w.reader, audit.ExportOptions{}, &b); err != nil {
		f.Fatal(err)
	}
	good := b.String()
	f.Add(good)
	b.Reset()
	if err := w.log.Export(context.Background(), w.reader, audit.ExportOptions{Format: "csv"}, &b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Add("")
	f.Add(`{"checkpoint":"x"}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := verify(text, audit.VerifyOptions{Key: keyOf(t, w)})
		if err == nil && r.Events != r.TreeSize && r.First == 0 && r.Events == 0 {
			t.Errorf("nothing verifies: %+v", r)
		}
	})
}

// BenchmarkVerify checks an export of 100,000 events.
func BenchmarkVerify(b *testing.B) {
	w := newWorld(100_000)
	text := w.export(b, audit.ExportOptions{})
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := verify(text, audit.VerifyOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/event")
}

func TestLeafHashIsThatOfRFC6962(t *testing.T) {
	// SHA-256 of the single byte 0: the hash of an empty leaf, from the RFC's
	// test vectors of certificate transparency implementations.
	h := audit.LeafHash(nil)
	if hex.EncodeToString(h[:]) != "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" {
		t.Errorf("%x", h)
	}
}

// TestReleasedExportsStillVerify fails when an export that somebody has kept
// would not verify any more.
func TestReleasedExportsStillVerify(t *testing.T) {
	for _, format := range []string{"ndjson", "csv"} {
		path := "testdata/export-v1." + format
		if *update {
			if err := os.WriteFile(path, []byte(newWorld(300).export(t, audit.ExportOptions{Format: format})), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := audit.Verify(f, audit.VerifyOptions{Key: keyOf(t, newWorld(0))})
		if err != nil || r.Events != 301 || !r.KeyTrusted {
			t.Errorf("%s: %+v %v", path, r, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
