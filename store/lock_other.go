//go:build !unix

package store

import (
	"errors"
	"os"
)

// lockFile refuses: without flock two servers could share a data directory.
func lockFile(string) (*os.File, error) {
	return nil, errors.New("the embedded database needs a Unix system; name a PostgreSQL database instead")
}
