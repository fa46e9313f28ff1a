package store_test

import (
	"os"
	"testing"

	"vaultpam/store/storetest"
)

func TestMain(m *testing.M) {
	if os.Getenv("STORE_TEST_VICTIM") != "" {
		victim()
	}
	os.Exit(storetest.Main(m))
}
