package sshfiles

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

func sumOf(p []byte) string {
	s := sha256.Sum256(p)
	return hex.EncodeToString(s[:])
}

// However the parts of a file are cut and, within what may wait, shuffled, the
// sum is the file's.
func TestDigestIsThatOfTheFile(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		data := make([]byte, r.IntN(4000))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		type part struct{ at, n int }
		var parts []part
		for at := 0; at < len(data); {
			n := min(1+r.IntN(300), len(data)-at)
			parts = append(parts, part{at, n})
			at += n
		}
		if len(parts) > 1 { // the first says where it begins
			r.Shuffle(len(parts)-1, func(i, j int) { parts[i+1], parts[j+1] = parts[j+1], parts[i+1] })
		}
		room := len(data) + len(parts)*partCost
		all := room
		d := digest{room: &room}
		for _, p := range parts {
			d.add(uint64(p.at), data[p.at:p.at+p.n])
		}
		if d.hex() != sumOf(data) || d.bytes != uint64(len(data)) || room != all {
			t.Fatalf("%d bytes in %d parts: %q, %d left of %d", len(data), len(parts), d.hex(), room, all)
		}
	}
}

func TestDigestOfWhatIsNoSequenceIsNone(t *testing.T) {
	part := bytes.Repeat([]byte("x"), 10)
	for name, at := range map[string][]uint64{"a part twice": {0, 10, 0}, "an overlap": {0, 5}, "a gap": {0, 20}, "a waiting part twice": {0, 20, 20}} {
		room := maxWaiting
		d := digest{room: &room}
		for _, o := range at {
			d.add(o, part)
		}
		if d.hex() != "" || d.bytes != uint64(len(at)*len(part)) {
			t.Errorf("%s: %q, %d bytes", name, d.hex(), d.bytes)
		}
		d.drop()
		if room != maxWaiting {
			t.Errorf("%s: %d bytes are kept", name, maxWaiting-room)
		}
	}
	room := 15 + partCost
	d := digest{room: &room}
	for _, o := range []uint64{0, 20, 40} { // the second of those that wait is too much
		d.add(o, part)
	}
	if d.hex() != "" || room != 15+partCost {
		t.Errorf("more waits than may: %q, %d", d.hex(), room)
	}
	empty := digest{room: &room}
	if empty.hex() != sumOf(nil) {
		t.Error("an empty file has another sum")
	}
}
