// Package target starts the real servers that tests talk to.
//
// It owns their processes, files, ports and system users, and removes all of
// them at the end of the test. It must not know the product: what it starts
// could serve any other program's tests as well. Nothing in here skips a test;
// what is missing fails it. PostgreSQL for stores is started by
// store/storetest. Start at [StartSSHD].
package target

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// outsidePath are directories with servers that the PATH of ordinary users on
// Debian leaves out.
var outsidePath = []string{"/usr/sbin", "/sbin", "/usr/local/sbin"}

// Need returns the path of a program, and fails the test when this machine
// does not have it. It never skips: a promise that was not tried is not kept.
func Need(t testing.TB, program string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		if path, err = filepath.Abs(path); err == nil {
			return path
		}
	}
	for _, dir := range outsidePath {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Fatalf("%s is not installed on this machine: run `make test-deps`, then test again", program)
	return ""
}
