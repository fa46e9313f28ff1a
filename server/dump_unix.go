//go:build unix && !linux

package server

import (
	"fmt"
	"syscall"
)

// noDumps keeps the memory of this process, which holds keys and secrets, out
// of core files.
func noDumps() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	return nil
}
