package server

import (
	"fmt"
	"syscall"
)

// noDumps keeps the memory of this process, which holds keys and secrets, out
// of core files and away from other processes of the same user. The limit
// alone is not enough: where /proc/sys/kernel/core_pattern names a program,
// core(5) says, it is not consulted. A process that is not dumpable is left
// alone by both, and can be traced by root only (prctl(2), PR_SET_DUMPABLE).
func noDumps() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0); errno != 0 {
		return fmt.Errorf("forbid memory dumps: %w", errno)
	}
	return nil
}
