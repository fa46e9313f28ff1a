package recording

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"vaultpam/pam"
)

// FuzzScan reads any bytes as a recording: no panic, no allocation beyond the
// limits, and nothing but the sample itself verifies.
func FuzzScan(f *testing.F) {
	good, key := vector(f)
	f.Add(good)
	for _, p := range parts(f, good) {
		f.Add(p)
	}
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		sc, err := newScanner(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		defer sc.close()
		if err := sc.unlock(key); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			var frames []byte
			var h chunkHeader
			if h, frames, err = sc.next(); err == nil {
				_ = checkFrames(frames, h)
			}
		}
		if sc.number > 0 && !bytes.HasPrefix(good, b[:sc.off]) {
			t.Error("other bytes verify")
		}
		if errors.Is(err, io.EOF) {
			_, _ = sc.seal(make([]byte, 32))
		}
		_, _, _ = parseSeal(b)
	})
}

// FuzzFrames reads any bytes as the frames of a chunk.
func FuzzFrames(f *testing.F) {
	f.Add(putFrame(putFrame(nil, KindOutput, 5, []byte("hello")), KindResize, 0, []byte{0, 80, 0, 24}), uint64(10))
	f.Add([]byte{'o', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0}, uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, until uint64) {
		_ = checkFrames(b, chunkHeader{until: until})
		at := uint64(0)
		for rest := b; len(rest) > 0; {
			fr, next, more, err := nextFrame(rest, at)
			if err != nil {
				return
			}
			if next < at || len(more) >= len(rest) || fr.At < 0 {
				t.Fatal("time or place runs backwards")
			}
			if again := putFrame(nil, fr.Kind, next-at, fr.Data); !bytes.HasSuffix(again, fr.Data) {
				t.Fatal("a frame does not encode again")
			}
			_ = fr.text()
			_, _, _ = fr.Resize()
			at, rest = next, more
		}
	})
}

// FuzzPlay reads any bytes as an asciicast.
func FuzzPlay(f *testing.F) {
	f.Add([]byte(cast))
	f.Add([]byte("{\"version\":2}\n[1e308,\"o\",\"x\"]\n[-1,\"o\",\"y\"]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := Play(t.Context(), bytes.NewReader(b), io.Discard, 1e12, 1)
		if k := pam.KindOf(err); err != nil && k != pam.BadRequest && k != pam.Internal {
			t.Error(err)
		}
	})
}
