// Package web is the console: its source, and what was built from it, as part
// of the binary.
//
// It owns the built files. It must not know how they are served. Start at
// src/main.tsx for the pages and at [FS] for the files.
package web

import (
	"embed"
	"io/fs"
)

// dist is empty but for a placeholder until `make console` has run.
//
//go:embed all:dist
var dist embed.FS

// FS returns the built files, with index.html at the root if Built.
func FS() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name above is right
	}
	return files
}

// Built says whether the console was built before this binary was.
func Built() bool {
	_, err := fs.Stat(dist, "dist/index.html")
	return err == nil
}
