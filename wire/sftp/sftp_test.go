package sftp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// Requests as section 6 of the draft has them, written by hand.
var requests = []struct {
	name, packet string
	want         Request
}{
	{"init", "0100000003", Request{Kind: Init, ID: 3}},
	{"realpath", "1000000001000000012e", Request{Kind: Realpath, ID: 1, Path: "."}},
	{"open to write", "0300000002000000062f746d702f780000001a00000004000001a4", Request{Kind: Open, ID: 2, Path: "/tmp/x", Flags: FlagWrite | FlagCreate | FlagTrunc}},
	{"write", "0600000003000000040000000000000000000080000000000368690a", Request{Kind: Write, ID: 3, Handle: "\x00\x00\x00\x00", Offset: 32768, Data: []byte("hi\n")}},
	{"read", "05000000040000000400000000000000000000000000008000", Request{Kind: Read, ID: 4, Handle: "\x00\x00\x00\x00", Length: 32768}},
	{"close", "04000000050000000400000000", Request{Kind: Close, ID: 5, Handle: "\x00\x00\x00\x00"}},
	{"truncate", "0900000006000000012f000000010000000000000007", Request{Kind: Setstat, ID: 6, Path: "/", Resizes: true, Size: 7}},
	{"posix-rename", "c8000000070000001870" + hex.EncodeToString([]byte("osix-rename@openssh.com")) + "00000001610000000162", Request{Kind: Extended, ID: 7, Extension: PosixRename, Path: "a", To: "b"}},
}

func packetOf(t testing.TB, text string) []byte {
	t.Helper()
	p, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRequestsAreReadToTheByte(t *testing.T) {
	for _, c := range requests {
		p := packetOf(t, c.packet)
		got, err := ParseRequest(p)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		if c.want.Kind == Init {
			continue // pairs may follow
		}
		for i := range p {
			if _, err := ParseRequest(p[:i]); err == nil {
				t.Errorf("%s: the first %d bytes are taken", c.name, i)
			}
		}
		if _, err := ParseRequest(append(bytes.Clone(p), 0)); err == nil {
			t.Errorf("%s: one byte more is taken", c.name)
		}
	}
}

func TestWhatIsNotUnderstoodIsNotGuessed(t *testing.T) {
	long := binary.BigEndian.AppendUint32([]byte{byte(Stat), 0, 0, 0, 1}, MaxPath+1)
	for name, c := range map[string]struct {
		packet []byte
		want   error
	}{
		"an unknown kind":      {[]byte{99, 0, 0, 0, 1}, ErrUnknown},
		"an answer":            {[]byte{byte(Status), 0, 0, 0, 1, 0, 0, 0, 0}, ErrUnknown},
		"a zero byte in paths": {packetOf(t, "110000000100000003610062"), ErrMalformed},
		"an endless path":      {append(long, strings.Repeat("a", MaxPath+1)...), ErrMalformed},
		"unknown attributes":   {packetOf(t, "0900000006000000012f00000010"), ErrMalformed},
		"nothing":              {nil, ErrUnknown},
	} {
		if _, err := ParseRequest(c.packet); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	q, err := ParseRequest(append(packetOf(t, "c80000000900000009"), "copy-data"...))
	if !errors.Is(err, ErrUnknown) || q.ID != 9 || q.Extension != "copy-data" {
		t.Errorf("an unknown extension: %+v, %v", q, err)
	}
	if Understood("copy-data") || !Understood(Fsync) || !Understood(Limits) {
		t.Error("what is understood")
	}
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		packet string
		want   Answer
	}{
		"handle":              {"66000000020000000400000000", Answer{Kind: Handle, ID: 2, Handle: "\x00\x00\x00\x00"}},
		"data":                {"67000000040000000368690a", Answer{Kind: Data, ID: 4, Data: []byte("hi\n")}},
		"status of old kinds": {"650000000500000001", Answer{Kind: Status, ID: 5, Code: EOF}},
		"status":              {hex.EncodeToString(StatusFrame(5, PermissionDenied, "no")[4:]), Answer{Kind: Status, ID: 5, Code: PermissionDenied}},
		"attributes":          {"690000000700000000", Answer{Kind: Attrs, ID: 7}},
	} {
		if got, err := ParseAnswer(packetOf(t, c.packet)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, packet := range map[string]string{"a request": "0400000005", "a cut status": "6500000005", "a long handle": "66000000020000ffff"} {
		if a, err := ParseAnswer(packetOf(t, packet)); err == nil {
			t.Errorf("%s is taken: %+v", name, a)
		}
	}
}

func TestVersionKeepsWhatIsWanted(t *testing.T) {
	in := Answer{Kind: Version, ID: Protocol, Extensions: []string{PosixRename, "1", "copy-data", "1", Fsync, "1"}}
	all := VersionFrame(in, func(string) bool { return true })
	packet, rest, err := Next(all)
	if err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	if got, err := ParseAnswer(packet); err != nil || !reflect.DeepEqual(got, in) {
		t.Errorf("%+v, %v", got, err)
	}
	packet, _, err = Next(VersionFrame(in, Understood))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseAnswer(packet); err != nil || !reflect.DeepEqual(got.Extensions, []string{PosixRename, "1", Fsync, "1"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFramesAreCutWhereTheyEnd(t *testing.T) {
	whole := append(StatusFrame(1, OK, ""), StatusFrame(2, EOF, "")...)
	for i := range len(whole) {
		packet, rest, err := Next(whole[:i])
		if err != nil || (packet == nil) != (i < len(StatusFrame(1, OK, ""))) || len(packet)+len(rest) > i {
			t.Errorf("%d bytes: %x, %x, %v", i, packet, rest, err)
		}
	}
	for want, p := range map[error][]byte{ErrTooLong: {0, 4, 0, 1}, ErrMalformed: {0, 0, 0, 0}} {
		if _, _, err := Next(p); !errors.Is(err, want) {
			t.Errorf("%x: %v", p, err)
		}
	}
}

func FuzzPackets(f *testing.F) {
	for _, c := range requests {
		f.Add(packetOf(f, c.packet))
	}
	f.Add(StatusFrame(1, OK, "fine"))
	f.Add(VersionFrame(Answer{ID: 3, Extensions: []string{Fsync, "1"}}, Understood))
	f.Fuzz(func(t *testing.T, p []byte) {
		if packet, rest, err := Next(p); err == nil && packet != nil && len(packet)+len(rest)+4 != len(p) {
			t.Error("bytes are lost")
		}
		q, err := ParseRequest(p)
		if err == nil && (len(q.Path) > MaxPath || len(q.To) > MaxPath || len(q.Handle) > MaxHandle || strings.ContainsRune(q.Path+q.To, 0)) {
			t.Errorf("%+v", q)
		}
		if a, err := ParseAnswer(p); err == nil && len(a.Extensions)%2 != 0 {
			t.Errorf("%+v", a)
		}
	})
}
