package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSkippedAndFailedTestsAreNamed(t *testing.T) {
	events := strings.Join([]string{
		`{"Action":"output","Package":"p","Test":"TestGood","Output":"noise of a good test\n"}`,
		`{"Action":"pass","Package":"p","Test":"TestGood"}`,
		`{"Action":"output","Package":"p","Test":"TestBad","Output":"the reason\n"}`,
		`{"Action":"fail","Package":"p","Test":"TestBad"}`,
		`{"Action":"output","Package":"p","Test":"TestHangs","Output":"panic: too long\n"}`,
		`{"Action":"skip","Package":"p","Test":"TestLazy"}`,
		`{"Action":"fail","Package":"p","Elapsed":1.5}`,
		`{"Action":"skip","Package":"without tests"}`,
		`{"Action":"build-output","ImportPath":"q","Output":"q.go:1: syntax error\n"}`,
		`go: not JSON`,
	}, "\n")
	var out strings.Builder
	sum, err := report(&out, strings.NewReader(events))
	if err != nil {
		t.Fatal(err)
	}
	if sum.passed != 1 {
		t.Errorf("%d passed, want 1", sum.passed)
	}
	if diff := cmp.Diff([]string{"p TestLazy"}, sum.skipped); diff != "" {
		t.Errorf("skipped: %s", diff)
	}
	if diff := cmp.Diff([]string{"p TestBad", "p"}, sum.failed); diff != "" {
		t.Errorf("failed: %s", diff)
	}
	for text, want := range map[string]bool{
		"the reason": true, "panic: too long": true, "syntax error": true, "go: not JSON": true,
		"noise of a good test": false,
	} {
		if strings.Contains(out.String(), text) != want {
			t.Errorf("output has %q: %v, want %v\n%s", text, !want, want, out.String())
		}
	}
}
