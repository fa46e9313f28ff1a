package webterm_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Whatever a client does, its goroutines end with it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
