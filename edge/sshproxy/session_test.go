package sshproxy_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vaultpam/pam/audit"
	"vaultpam/pam/session"
)

func TestCommandsEndWithTheStatusOfTheTarget(t *testing.T) {
	w := newWorld(t)
	for _, code := range []int{0, 1, 42} {
		r := w.run(nil, "alice@example.com+web", fmt.Sprintf("echo out; echo err >&2; exit %d", code))
		if r.code != code || r.out != "out\n" || r.err != "err\n" {
			t.Errorf("exit %d: %+v", code, r)
		}
	}
	if r := w.run(nil, "alice@example.com+web", "kill -TERM $$"); r.code != 255 {
		t.Errorf("killed by a signal: %+v", r)
	}
	s := w.over()
	if s.Status != session.Ended || s.EndReason != "exit" || s.ClientIP != "127.0.0.1" || s.Protocol != "ssh" || s.RecordingID == "" {
		t.Errorf("session on record: %+v", s)
	}
	rec, err := w.db.RecordingByID(t.Context(), s.Org, s.RecordingID)
	if err != nil || rec.Status != "completed" || rec.RootHash == "" {
		t.Errorf("recording: %+v %v", rec, err)
	}
	got := w.events()
	for _, want := range []audit.Type{audit.SessionStarted, audit.CredentialInjected, audit.RecordingSealed, audit.SessionEnded} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in the log: %v", want, got)
		}
	}
}

func TestInputIsPipedToItsEndAndOutputFollows(t *testing.T) {
	w := newWorld(t)
	r := w.run(strings.NewReader("zwei\neins\n"), "alice@example.com+web", "sort; echo done")
	if r.code != 0 || r.out != "eins\nzwei\ndone\n" {
		t.Errorf("%+v", r)
	}
}

func TestOnlyHarmlessEnvironmentReachesTheTarget(t *testing.T) {
	w := newWorld(t)
	r := w.run(nil, "alice@example.com+web", "-o", "SendEnv=LC_TEST", "-o", "SendEnv=SECRET_OF_CLIENT", "env")
	if r.code != 0 || strings.Contains(r.out, "SECRET_OF_CLIENT") {
		t.Errorf("%+v", r)
	}
}

func TestHundredMegabytesArriveUnchangedInBothDirections(t *testing.T) {
	w := newWorld(t)
	data := make([]byte, 100<<20)
	_, _ = rand.Read(data)
	sum := sha256.Sum256(data)
	r := w.run(bytes.NewReader(data), "alice@example.com+web", "tee f | sha256sum; cat f")
	want := hex.EncodeToString(sum[:]) + "  -\n"
	if r.code != 0 || !strings.HasPrefix(r.out, want) {
		t.Fatalf("up: exit %d, %.80q", r.code, r.out)
	}
	if got := sha256.Sum256([]byte(r.out[len(want):])); got != sum {
		t.Errorf("down: %d bytes, another sum", len(r.out)-len(want))
	}
	s := w.over()
	if s.BytesIn != int64(len(data)) || s.BytesOut != int64(len(r.out)) {
		t.Errorf("counted %d in, %d out, want %d and %d", s.BytesIn, s.BytesOut, len(data), len(r.out))
	}
}

func TestLoginByKeyNeedsARegisteredKey(t *testing.T) {
	w := newWorld(t)
	good, _ := w.newKey(&w.alice)
	bad, _ := w.newKey(nil)
	args := func(key string) []string {
		return []string{"-o", "PreferredAuthentications=publickey", "-o", "IdentitiesOnly=yes", "-i", key, "echo in"}
	}
	if r := w.run(nil, "alice@example.com+web", args(good)...); r.code != 0 || r.out != "in\n" {
		t.Errorf("%+v", r)
	}
	if r := w.run(nil, "alice@example.com+web", args(bad)...); r.code != 255 || !strings.Contains(r.err, "Permission denied") {
		t.Errorf("a foreign key: %+v", r)
	}
	if r := w.run(nil, "owner@example.com+web", args(good)...); r.code != 255 || !strings.Contains(r.err, "Permission denied") {
		t.Errorf("alice's key for the owner: %+v", r)
	}
}
