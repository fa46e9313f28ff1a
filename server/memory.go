package server

import (
	"context"
	"runtime/debug"
	gometrics "runtime/metrics"
	"time"
)

const (
	heapFloorSize = 32 << 20        // how much garbage may gather beyond what lives
	giveBackEvery = 5 * time.Second // how soon after a burst its memory is given back
	giveBackFrom  = 16 << 20        // less than this is not worth a collection
)

// settle ends the start: the system gets back what only that took. What it
// returns is to be kept alive while the server serves. It is never touched, so
// it takes addresses and no memory; but the collector counts it, and lets some
// tens of MiB of garbage gather before it runs. Little lives in a server, and
// without this a bulk transfer makes the collector run forty times a second.
func settle() []byte {
	debug.FreeOSMemory()
	return make([]byte, heapFloorSize)
}

// giveBack returns to the system what a burst of work has left behind, as soon
// as a while has passed without a collection: then nobody is in a hurry.
func giveBack(ctx context.Context) error {
	tick := time.NewTicker(giveBackEvery)
	defer tick.Stop()
	before := readHeap()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := readHeap()
		if now.collections == before.collections && now.kept > giveBackFrom {
			debug.FreeOSMemory()
			now = readHeap()
		}
		before = now
	}
}

// heap is what giveBack looks at.
type heap struct {
	collections uint64
	kept        uint64 // bytes that are resident and hold nothing that lives
}

func readHeap() heap {
	samples := []gometrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"},
	}
	gometrics.Read(samples)
	at := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heap{collections: at(0), kept: at(1) + max(at(2), at(3)) - at(3)}
}
