//go:build !pkcs11

package sealpkcs11

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"vaultpam/test/target"
)

func TestTheOrdinaryBuildSaysWhichOneHasIt(t *testing.T) {
	if _, err := New(Config{}); !errors.Is(err, ErrBuild) || !strings.Contains(err.Error(), "make build-hsm") {
		t.Error(err)
	}
	s := &Seal{}
	if _, err := s.Wrap(t.Context(), nil, nil); !errors.Is(err, ErrBuild) {
		t.Error(err)
	}
	if _, err := s.Unwrap(t.Context(), nil, nil); !errors.Is(err, ErrBuild) {
		t.Error(err)
	}
	if err := MakeKey(s); !errors.Is(err, ErrBuild) {
		t.Error(err)
	}
}

// The tests of the other build are run from here, so that `go test ./...`
// leaves nothing out.
func TestTheOtherBuildWorksWithARealModule(t *testing.T) {
	target.Need(t, "softhsm2-util")
	target.Need(t, "gcc")
	cmd := exec.Command("go", "test", "-count=1", "-tags", "pkcs11", "-v", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestWhatTheModuleWrappedItUnwraps") || strings.Contains(string(out), "--- SKIP") {
		t.Errorf("%v: %s", err, out)
	}
}
