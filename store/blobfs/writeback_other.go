//go:build !linux

package blobfs

import "os"

// beginWriteback does nothing where the system offers no such hint.
func beginWriteback(*os.File, int64, int64) {}
