// Package vaultpam_test holds the rules about the tree as a whole.
//
// It owns who may import whom, and what every package and file has to look
// like. It must not know what any package does. Start at [rooms].
package vaultpam_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "vaultpam"

// room says what a package may import from this module. The first room that
// matches a package decides. In patterns, a trailing /... stands for the
// package and all below it, and * for one part of a name.
type room struct {
	packages string
	may      []string
	not      []string // taken out of may
}

// below stands for a package and all below it; alone for the whole module.
const below = "/..."

// rooms is the map of the product: docs/design.md explains it, and a line
// changes only together with it.
var rooms = []room{
	{packages: "internal/...", may: []string{"internal/..."}},
	{packages: "wire/...", may: []string{"internal/...", "wire/..."}},
	{packages: "post/...", may: []string{"internal/...", "post/..."}},
	{packages: "idp/...", may: []string{"internal/...", "idp/..."}},
	{packages: "target/...", may: []string{"internal/...", "wire/...", "target/..."}},

	// pam at its root declares the Sealer that vault satisfies, in its ids.
	{packages: "vault/...", may: []string{"internal/...", "vault/...", "pam"}},

	{packages: "pam", may: []string{"internal/..."}},
	{packages: "pam/policy", may: []string{"pam", "internal/..."}},
	{packages: "pam/broker", may: []string{"pam/...", "vault", "internal/..."}},
	{packages: "pam/lease", may: []string{"pam", "pam/account", "pam/audit", "pam/policy", "internal/..."}}, // what is leased is an account's
	{packages: "pam/audit/...", may: []string{"pam", "pam/audit", "internal/..."}},
	{packages: "pam/*", may: []string{"pam", "pam/audit", "pam/policy", "internal/..."}},

	{packages: "store/storetest", may: []string{"store/...", "pam/...", "vault/...", "internal/..."}},
	{packages: "store/...", may: []string{"pam/...", "vault", "internal/..."}},

	{packages: "edge", may: []string{"internal/..."}},
	{packages: "edge/sshpump", may: []string{"edge", "wire/...", "target/...", "pam", "pam/broker", "pam/recording", "internal/..."}},
	{packages: "edge/sshfiles", may: []string{"edge/sshpump", "wire/...", "pam/broker", "internal/..."}},
	{packages: "edge/*proxy", may: proxy},
	{packages: "edge/webterm", may: proxy},
	{packages: "edge/tunnelhub", may: []string{"edge", "wire/...", "pam", "pam/connector", "internal/..."}},
	{packages: "edge/scim", may: []string{"edge", "pam", "pam/provisioning", "internal/..."}},
	{packages: "edge/httpapi", may: []string{"edge", "pam/...", "api/v1", "web", "internal/..."}},

	{packages: "agent", may: []string{"wire/...", "internal/..."}},
	{packages: "api/v1"},
	{packages: "client", may: []string{"api/v1"}},
	{packages: "web"},

	// The dev server's target is another machine as far as the product knows.
	{packages: "server/demo", may: []string{"internal/..."}},
	{packages: "server", may: []string{below}, not: []string{"agent", "client", "cmd/..."}},

	// The command line speaks through client; pam/audit, pam/recording and
	// vault are for what works offline. It opens KeePass databases, so that
	// neither they nor their password ever come to the server; and the kits
	// that open where there is no server.
	{packages: "cmd/vaultpam", may: []string{"server", "client", "api/v1", "pam/audit", "pam/recording", "vault", "wire/kdbx", "internal/kit", "internal/secret", "internal/shamir"}},
	{packages: "cmd/vaultpam-connector", may: []string{"agent"}},

	{packages: "test/...", may: []string{below}},
	{packages: "tools/*"},
}

var proxy = []string{"edge", "edge/sshfiles", "edge/sshpump", "wire/...", "target/...", "pam", "pam/broker", "pam/identity", "pam/recording", "internal/..."}

// helpers are packages for tests, which the product itself must not link.
var helpers = []string{"vault/vaulttest", "pam/audit/audittest", "store/storetest", "test/..."}

// maxLines is where a file has to be split; from 400 on it should be.
const maxLines = 500

// forbiddenNames say nothing about what a package owns.
var forbiddenNames = []string{"types", "util", "utils", "common", "helper", "helpers", "misc", "base", "shared"}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// file is a Go file of this module, without tests.
type file struct {
	path  string // slash-separated, from the root of the module
	room  string // the directory of path
	ast   *ast.File
	lines int
	made  bool // by a generator
}

func TestImportsFollowTheTable(t *testing.T) {
	for _, f := range files(t) {
		rule, known := ruleOf(f.room)
		if !known {
			t.Errorf("%s: %s is in no room of the table", f.path, f.room)
			continue
		}
		for _, imported := range importsOf(t, f) {
			if !matches(rule.may, imported) || matches(rule.not, imported) {
				t.Errorf("%s: %s must not import %s", f.path, f.room, imported)
			}
		}
	}
}

// The promises that the product is sold with, whatever the table becomes.
func TestTheTableKeepsTheWallsThatMatter(t *testing.T) {
	for _, wall := range []struct{ from, to, why string }{
		{"edge/sshproxy", "store", "no proxy reads the database"},
		{"edge/pgproxy", "vault", "no proxy opens secrets"},
		{"edge/webterm", "pam/policy", "only the broker decides"},
		{"edge/tunnelhub", "pam/account", "connectors never meet credentials"},
		{"edge/httpapi", "store", "SQL stays behind the nouns"},
		{"agent", "vault", "a connector's machine may be hostile"},
		{"cmd/vaultpam-connector", "store", "a connector's machine may be hostile"},
		{"client", "pam", "strangers link the client"},
		{"pam/safe", "pam/account", "nouns refer to each other by id"},
		{"pam/safe", "vault", "nouns know a Sealer only"},
		{"pam/policy", "pam/audit", "decisions are pure"},
		{"pam", "pam/safe", "the words at the root know no noun"},
		{"wire/pgwire", "pam", "codecs know no meaning"},
		{"target/sshtarget", "pam", "logging in knows no permission"},
		{"idp/oidc", "pam", "whoever vouches for people decides nothing"},
		{"pam/sso", "idp/oidc", "what a provider says is no protocol's business"},
		{"idp/saml", "pam", "whoever vouches for people decides nothing"},
		{"pam/sso", "idp/saml", "what a provider says is no protocol's business"},
		{"vault", "pam/account", "the vault knows no noun"},
		{"store", "edge", "storage serves, it does not listen"},
		{"server", "client", "the server does not call itself"},
		{"edge/httpapi", "wire/kdbx", "files of strangers are opened on their own machine"},
	} {
		rule, known := ruleOf(wall.from)
		if !known || (matches(rule.may, wall.to) && !matches(rule.not, wall.to)) {
			t.Errorf("%s may import %s: %s", wall.from, wall.to, wall.why)
		}
	}
	if _, known := ruleOf("newroom"); known {
		t.Error("a room that nobody named is allowed")
	}
}

func TestProductLinksNoTestHelpers(t *testing.T) {
	for _, f := range files(t) {
		if matches(helpers, f.room) {
			continue
		}
		for _, imported := range importsOf(t, f) {
			if matches(helpers, imported) {
				t.Errorf("%s: %s is for tests only", f.path, imported)
			}
		}
	}
}

func TestPackagesSayWhatTheyOwn(t *testing.T) {
	said := map[string]bool{}
	for _, f := range files(t) {
		name := f.ast.Name.Name
		want := "Package " + name + " "
		if name == "main" {
			want = "Command " + path.Base(f.room) + " "
		}
		said[f.room] = said[f.room] || (f.ast.Doc != nil && strings.HasPrefix(f.ast.Doc.Text(), want))
		if slices.Contains(forbiddenNames, name) || slices.Contains(forbiddenNames, path.Base(f.room)) {
			t.Errorf("%s: the name %s does not say what it owns", f.path, name)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(said)) {
		if !said[dir] {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

func TestFilesStayReadable(t *testing.T) {
	for _, f := range files(t) {
		if f.lines >= maxLines && !f.made {
			t.Errorf("%s has %d lines; split it where a part has a name of its own", f.path, f.lines)
		}
	}
}

// strangers are packages outside wire that read what others wrote, and whose
// input may therefore be anything.
var strangers = []string{
	"edge/httpapi", "edge/scim", "edge/sshproxy", "edge/webterm", "idp/ldap", "idp/oidc", "idp/saml", "internal/kit", "internal/naming", "internal/passkey", "internal/shamir", "pam/account", "pam/audit", "pam/identity", "pam/policy", "pam/recording", "pam/resource", "pam/sso", "target/ldaptarget", "target/sshtarget", "vault", "vault/sealfile", "vault/sealkms", "vault/sealpkcs11", "vault/sealshamir", "vault/sealtransit",
}

func TestEveryCodecIsFuzzed(t *testing.T) {
	fuzzed := map[string]bool{}
	for _, dir := range strangers {
		fuzzed[dir] = false
	}
	for _, f := range files(t) {
		if strings.HasPrefix(f.room, "wire/") {
			fuzzed[f.room] = false
		}
	}
	for dir := range fuzzed {
		tests, err := filepath.Glob(filepath.Join(filepath.FromSlash(dir), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range tests {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fuzzed[dir] = fuzzed[dir] || bytes.Contains(data, []byte("\nfunc Fuzz"))
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(fuzzed)) {
		if !fuzzed[dir] {
			t.Errorf("%s reads bytes from strangers and has no fuzz target", dir)
		}
	}
}

func ruleOf(dir string) (room, bool) {
	for _, r := range rooms {
		if matches([]string{r.packages}, dir) {
			return r, true
		}
	}
	return room{}, false
}

func matches(patterns []string, dir string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if base, all := strings.CutSuffix(pattern, below); all {
			return base == "" || dir == base || strings.HasPrefix(dir, base+"/")
		}
		ok, err := path.Match(pattern, dir)
		return ok && err == nil
	})
}

// importsOf lists what a file imports from this module, without its path.
func importsOf(t *testing.T, f file) []string {
	t.Helper()
	var found []string
	for _, spec := range f.ast.Imports {
		full, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if imported, ours := strings.CutPrefix(full, module+"/"); ours {
			found = append(found, imported)
		}
	}
	return found
}

// files parses the tree in this process: the test cache knows the files that a
// test opens, but not those of a program that it starts.
func files(t *testing.T) []file {
	t.Helper()
	var found []file
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			base := entry.Name()
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || slices.Contains([]string{"testdata", "node_modules", "data", "bin"}, base)) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, data, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		slashed := filepath.ToSlash(name)
		found = append(found, file{
			path: slashed, room: path.Dir(slashed), ast: parsed,
			lines: bytes.Count(data, []byte("\n")), made: generated.Match(data),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no Go file was found: the rules were not tried")
	}
	return found
}
