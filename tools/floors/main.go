// Command floors compares go.mod, and the console's package-lock.json, with
// docs/dependencies.md.
//
// It owns the rule that every direct dependency has a reason and that no
// dependency, however it came in, is older than the oldest version known to be
// safe. It asks no network: the table is the list of known holes. It must not
// know why a floor is where it is. Start at [violations].
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: floors go.mod web/package-lock.json docs/dependencies.md")
		os.Exit(2)
	}
	found, err := compare(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "floors:", err)
		os.Exit(1)
	}
	for _, text := range found {
		fmt.Fprintln(os.Stderr, "floors:", text)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
}

func compare(modPath, lockPath, tablePath string) ([]string, error) {
	data, err := os.ReadFile(modPath)
	if err != nil {
		return nil, err
	}
	mod, err := modfile.Parse(modPath, data, nil)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(tablePath)
	if err != nil {
		return nil, err
	}
	rows, err := parseTable(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tablePath, err)
	}
	lock, err := os.ReadFile(lockPath)
	if err != nil {
		return nil, err
	}
	uses, found, err := locked(lock)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", lockPath, err)
	}
	return slices.Concat(violations(mod, rows), found, below(uses, rows)), nil
}

// use is a dependency as it is built with.
type use struct {
	version string // of the oldest, where there are several
	direct  bool
}

// npm is what the table writes before the name of an npm package.
const npm = "npm:"

// locked reads the packages of a package-lock.json. One that names where it
// was downloaded from, or has no hash of what was, is a violation: the first
// works on one network alone, the second anywhere.
func locked(data []byte) (map[string]use, []string, error) {
	var lock struct {
		Packages map[string]struct {
			Version, Integrity, Resolved  string
			Link, InBundle                bool
			Dependencies, DevDependencies map[string]string
		}
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		return nil, nil, err
	}
	root, ok := lock.Packages[""]
	if !ok {
		return nil, nil, errors.New("it has no root package")
	}
	uses := map[string]use{}
	var found []string
	for _, path := range slices.Sorted(maps.Keys(lock.Packages)) {
		_, name, ok := cutLast(path, "node_modules/")
		if !ok {
			continue
		}
		p := lock.Packages[path]
		if p.Resolved != "" || p.Link {
			found = append(found, npm+name+" names where it was downloaded from")
		}
		if p.Integrity == "" && !p.InBundle { // the hash of what it is bundled in covers it
			found = append(found, npm+name+" has no hash")
		}
		_, run := root.Dependencies[name]
		_, dev := root.DevDependencies[name]
		version := "v" + p.Version
		if old, twice := uses[npm+name]; twice && semver.Compare(old.version, version) < 0 {
			version = old.version
		}
		uses[npm+name] = use{version, run || dev}
	}
	return uses, found, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// row is one line of the table: module | floor | licence | reason.
type row struct{ floor, licence, reason string }

// parseTable reads every table line of a Markdown text whose first cell is
// code, as in `golang.org/x/mod`. The floor is a version, or "-" for none.
func parseTable(text string) (map[string]row, error) {
	rows := map[string]row{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 4 {
			return nil, fmt.Errorf("line %d: %d cells, want module, floor, licence and reason", i+1, len(cells))
		}
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		module := strings.Trim(cells[0], "`")
		if _, twice := rows[module]; twice {
			return nil, fmt.Errorf("line %d: %s is there twice", i+1, module)
		}
		if cells[1] != "-" && !semver.IsValid(cells[1]) {
			return nil, fmt.Errorf("line %d: the floor of %s is neither a version nor -", i+1, module)
		}
		rows[module] = row{floor: cells[1], licence: cells[2], reason: cells[3]}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("there is no table in it")
	}
	return rows, nil
}

// violations says what is wrong, in the order of the module paths. The version
// of Go itself is the row `go`. Since Go 1.17 go.mod names indirect
// requirements too, so that floors hold for them as well.
func violations(mod *modfile.File, rows map[string]row) []string {
	uses := map[string]use{}
	if mod.Go != nil {
		uses["go"] = use{"v" + mod.Go.Version, true}
	}
	for _, r := range mod.Require {
		uses[r.Mod.Path] = use{r.Mod.Version, !r.Indirect}
	}
	var found []string
	for _, r := range mod.Replace {
		// A fork has no floor; a patched dependency has to be taken openly.
		found = append(found, fmt.Sprintf("%s is replaced by %s, which no floor covers", r.Old.Path, r.New.Path))
	}
	return append(found, below(uses, rows)...)
}

func below(uses map[string]use, rows map[string]row) []string {
	var found []string
	for _, path := range slices.Sorted(maps.Keys(uses)) {
		used := uses[path]
		r, known := rows[path]
		switch {
		case used.direct && !known:
			found = append(found, path+" is a direct dependency without a line in the table")
		case used.direct && (r.reason == "" || r.licence == ""):
			found = append(found, path+" has no licence or no reason in the table")
		case known && r.floor != "-" && semver.Compare(used.version, r.floor) < 0:
			found = append(found, fmt.Sprintf("%s is %s, below its floor %s", path, used.version, r.floor))
		}
	}
	return found
}
