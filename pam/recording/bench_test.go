package recording

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"

	"vaultpam/internal/clock"
)

// discardBlobs takes everything and keeps nothing, so that the benchmark
// measures the recorder and not a disk.
type discardBlobs struct{ *memBlobs }

func (discardBlobs) Create(context.Context, string) (BlobWriter, error) { return discard{}, nil }

type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (discard) Sync() error                            { return nil }
func (discard) Close() error                           { return nil }

func BenchmarkOutput(b *testing.B) {
	random := make([]byte, 32<<10)
	_, _ = rand.Read(random)
	var text []byte
	for i := 0; len(text) < 1<<20; i++ {
		text = fmt.Appendf(text, "-rw-r--r-- 1 alice users %8d Nov %2d %02d:%02d report-%x.txt\r\n", random[i%len(random):][0], i%28, i%24, i%60, random[i%len(random)/8*8:][:6])
	}
	for _, c := range []struct {
		name string
		data []byte
		size int
	}{{"random-32KiB", random, 32 << 10}, {"text-32KiB", text, 32 << 10}, {"keystroke-1B", text, 1}} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b)
			r.Service.blobs = discardBlobs{r.blobs}
			r.Service.clock = clock.Real{}
			r.flushAfter = flushAfter
			w := r.begin(b, nil)
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			b.ResetTimer()
			at := 0
			for b.Loop() {
				if at+c.size > len(c.data) {
					at = 0
				}
				if err := w.Output(c.data[at : at+c.size]); err != nil {
					b.Fatal(err)
				}
				at += c.size
			}
			b.StopTimer()
			_, _ = w.Close(b.Context())
		})
	}
}
