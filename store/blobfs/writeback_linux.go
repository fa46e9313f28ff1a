package blobfs

import (
	"os"
	"syscall"
)

// beginWriteback asks the system to start writing a range out and does not
// wait. A failure is reported by the next Sync.
func beginWriteback(f *os.File, off, n int64) {
	const syncFileRangeWrite = 2 // SYNC_FILE_RANGE_WRITE, sync_file_range(2)
	_ = syscall.SyncFileRange(int(f.Fd()), off, n, syncFileRangeWrite)
}
