package recording

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"vaultpam/pam"
)

func (r *rig) cast(tb testing.TB, id pam.RecordingID) []string {
	tb.Helper()
	var b bytes.Buffer
	check(tb, r.WriteAsciicast(tb.Context(), self, id, &b))
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func TestAsciicastHoldsEveryEventInTheFormsOfVersion2(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	r.clock.Advance(250 * time.Millisecond)
	check(t, w.Output([]byte("\x1b[1mhi\x00\"\\\r\n\t\x7f")))
	check(t, w.Input([]byte("a")))
	check(t, w.Resize(100, 30))
	check(t, w.Marker("note", "over\nhere"))
	check(t, w.File(File{Direction: "download", Path: "/etc/motd", Size: 2, SHA256: "ab"}))
	_, err := w.Close(t.Context())
	check(t, err)
	want := []string{
		`{"height":40,"timestamp":1793525400,"title":"` + string(w.ID()) + `","version":2,"width":120}`,
		`[0.250000, "o", "\u001b[1mhi\u0000\"\\\r\n\t\u007f"]`,
		`[0.250000, "i", "a"]`,
		`[0.250000, "r", "100x30"]`,
		`[0.250000, "m", "note: over\nhere"]`,
		`[0.250000, "m", "download: /etc/motd (2 bytes, sha256 ab)"]`,
	}
	if d := cmp.Diff(want, r.cast(t, w.ID())); d != "" {
		t.Error(d)
	}
}

func TestCharactersThatAreSplitAcrossFramesComeOutWhole(t *testing.T) {
	const text = "añ€😀 ok"
	for size := 1; size <= 4; size++ {
		r := newRig(t)
		w := r.begin(t, nil)
		for b := []byte(text); len(b) > 0; b = b[min(size, len(b)):] {
			check(t, w.Output(b[:min(size, len(b))]))
			check(t, w.Input([]byte("x"))) // another direction in between
		}
		_, err := w.Close(t.Context())
		check(t, err)
		if got := shown(t, r.cast(t, w.ID())); got != text {
			t.Errorf("in pieces of %d: %q", size, got)
		}
	}
}

func shown(tb testing.TB, lines []string) string {
	tb.Helper()
	var s strings.Builder
	for _, l := range lines[1:] {
		if !json.Valid([]byte(l)) || !utf8.ValidString(l) {
			tb.Fatalf("not JSON: %q", l)
		}
		_, code, data, err := parseEvent([]byte(l))
		check(tb, err)
		if code == "o" {
			s.WriteString(data)
		}
	}
	return s.String()
}

func TestRawBytesAreReplacedInTheExportAndKeptInTheRecording(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	raw := []byte("ok\xff\xfe\xe2\x82rest\xf0\x9f")
	check(t, w.Output(raw))
	_, err := w.Close(t.Context())
	check(t, err)
	got, err := r.frames(t, r.Service, w.ID())
	if err != nil || !bytes.Equal(output(got), raw) {
		t.Errorf("%q, %v", output(got), err)
	}
	if s := shown(t, r.cast(t, w.ID())); s != "ok\ufffd\ufffd\ufffd\ufffdrest\ufffd\ufffd" {
		t.Errorf("%q", s)
	}
}

func TestEveryByteStringBecomesValidJSON(t *testing.T) {
	for i := range 1 << 16 {
		b := []byte{byte(i >> 8), byte(i), 'x'}
		line := appendEvent(nil, 0, 'o', b)
		if !utf8.Valid(line) || !json.Valid(line) {
			t.Fatalf("%q gives %q", b, line)
		}
	}
}

func TestOnlyThoseWhoMayReplayARecordingReadIt(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	for name, c := range map[string]struct {
		actor pam.Actor
		sees  string // "": not even that it exists
	}{
		"its user":                      {self, "replays"},
		"another operator":              {pam.Actor{User: "usr_other", Org: testOrg, Role: pam.Operator}, ""},
		"a manager of its Safe":         {pam.Actor{User: "usr_manager", Org: testOrg, Role: pam.Operator}, "replays"},
		"an auditor":                    {pam.Actor{User: "usr_other", Org: testOrg, Role: pam.Auditor}, "replays"},
		"the owner":                     {pam.Actor{User: "usr_other", Org: testOrg, Role: pam.Owner}, "exists"},
		"the owner, if admins see all":  {pam.Actor{User: "usr_other", Org: testOrg, Role: pam.Owner, AdminsSeeAll: true}, "replays"},
		"an admin, if admins see all":   {pam.Actor{User: "usr_other", Org: testOrg, Role: pam.Admin, AdminsSeeAll: true}, "replays"},
		"a policy manager":              {pam.Actor{User: "usr_other", Org: testOrg, Role: pam.PolicyManager, AdminsSeeAll: true}, ""},
		"its user, elsewhere":           {pam.Actor{User: testUser, Org: "org_other", Role: pam.Owner, AdminsSeeAll: true}, ""},
		"an auditor of another company": {pam.Actor{User: "usr_other", Org: "org_other", Role: pam.Auditor}, ""},
		"nobody":                        {pam.Actor{Org: testOrg}, ""},
	} {
		before := len(r.events.list)
		var b bytes.Buffer
		err := r.WriteAsciicast(t.Context(), c.actor, id, &b)
		_, verr := r.Verify(t.Context(), c.actor, id)
		list, lerr := r.List(t.Context(), c.actor, Filter{})
		check(t, lerr)
		if (c.sees == "replays") != (err == nil) || (c.sees != "") != (verr == nil) || (c.sees != "") != (len(list) == 1) {
			t.Errorf("%s: content %v, verify %v, list %d", name, err, verr, len(list))
		}
		refusal := map[string]pam.Kind{"": pam.NotFound, "exists": pam.Denied}[c.sees]
		if c.sees != "replays" && (!pam.Is(err, refusal) || b.Len() > 0 || len(r.events.list) != before) {
			t.Errorf("%s: %v, %d bytes", name, err, b.Len())
		}
		if c.sees == "replays" && len(r.events.list) != before+1 {
			t.Errorf("%s: %d events", name, len(r.events.list)-before)
		}
	}
}

func TestNoContentLeavesWithoutItsEvent(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	r.events.broken = errors.New("the log is away")
	var b bytes.Buffer
	if err := r.WriteAsciicast(t.Context(), self, id, &b); !errors.Is(err, r.events.broken) || b.Len() > 0 {
		t.Errorf("%v, %d bytes", err, b.Len())
	}
}

const cast = `{"version": 2, "width": 80, "height": 24}
[0.001, "o", "one "]
[0.002, "i", "typed"]
[0.002, "m", "noted"]

[3600.5, "o", "two"]
`

func TestPlayShowsOutputAndShortensPauses(t *testing.T) {
	var b bytes.Buffer
	start := time.Now()
	check(t, Play(t.Context(), strings.NewReader(cast), &b, 1, 5*time.Millisecond))
	if b.String() != "one two" {
		t.Errorf("played %q", b.String())
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	b.Reset()
	check(t, Play(t.Context(), strings.NewReader(cast), &b, 1e9, 0))
	if b.String() != "one two" {
		t.Errorf("played %q", b.String())
	}
}

func TestPlayStopsWithItsContextAndRefusesWhatIsNoRecording(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Play(ctx, strings.NewReader(cast), &bytes.Buffer{}, 1, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"", "x\n", `{"version": 1}`, `{"version":2}` + "\n[1]\n", `{"version":2}` + "\n[\"a\",\"o\",\"b\"]\n"} {
		if err := Play(t.Context(), strings.NewReader(bad), &bytes.Buffer{}, 1e9, 0); !pam.Is(err, pam.BadRequest) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := Play(t.Context(), strings.NewReader(cast), &bytes.Buffer{}, 0, 0); !pam.Is(err, pam.Invalid) {
		t.Errorf("speed 0: %v", err)
	}
}
