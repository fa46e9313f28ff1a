package store_test

import (
	"os"
	"testing"

	"vaultpam/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
