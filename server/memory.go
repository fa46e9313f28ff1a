package server

import "runtime/debug"

// heapFloorSize is how much garbage may gather beyond what lives.
const heapFloorSize = 32 << 20

// settle ends the start: the system gets back what only that took. What it
// returns is to be kept alive while the server serves. It is never touched, so
// it takes addresses and no memory; but the collector counts it, and lets some
// tens of MiB of garbage gather before it runs. Little lives in a server, and
// without this a bulk transfer makes the collector run forty times a second.
func settle() []byte {
	debug.FreeOSMemory()
	return make([]byte, heapFloorSize)
}
