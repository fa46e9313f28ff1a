package server

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// A burst must not decide for good how much memory the server takes.
func TestMemoryOfABurstIsGivenBackWhenItIsOver(t *testing.T) {
	floor := settle()
	synctest.Test(t, func(t *testing.T) {
		burst := make([][]byte, 64)
		for i := range burst {
			burst[i] = make([]byte, 1<<20)
			for j := 0; j < len(burst[i]); j += 4096 {
				burst[i][j] = 1
			}
		}
		runtime.KeepAlive(burst)
		burst = nil
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- giveBack(ctx) }() // until stop
		time.Sleep(2*giveBackEvery + time.Second)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if now := readHeap(); now.kept > giveBackFrom {
			t.Errorf("%d MiB are kept", now.kept>>20)
		}
	})
	runtime.KeepAlive(floor)
}
