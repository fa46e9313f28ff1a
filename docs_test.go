package vaultpam_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link     = regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
	function = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	testName = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*)`")
)

// A threat whose test was renamed away is one that nobody looks at any more.
func TestEveryTestThatTheThreatsNameExists(t *testing.T) {
	have := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		for _, m := range function.FindAllStringSubmatch(read(t, path), -1) {
			have[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := testName.FindAllStringSubmatch(read(t, "docs/threats.md"), -1)
	if len(named) < 50 {
		t.Fatalf("the threats name %d tests", len(named))
	}
	for _, m := range named {
		if !have[m[1]] {
			t.Errorf("docs/threats.md names %s, which does not exist", m[1])
		}
	}
}

func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			}
		}
	}
}

// An operator who looks a setting up finds it.
func TestEverySettingIsDocumented(t *testing.T) {
	text := read(t, "docs/operating.md")
	for _, m := range regexp.MustCompile(`fs\.\w+\(&c\.\w+, "([a-z0-9-]+)"`).FindAllStringSubmatch(read(t, "server/config.go")+read(t, "server/seal.go"), -1) {
		if !strings.Contains(text, "`--"+m[1]+"`") {
			t.Errorf("docs/operating.md does not speak of --%s", m[1])
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
