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
		`{"Action":"output","Package":"p","Test":"TestBad","Output":"=== RUN   TestBad\n"}`,
		`{"Action":"output","Package":"p","Test":"TestBad","Output":"the reason\n"}`,
		`{"Action":"fail","Package":"p","Test":"TestBad"}`,
		`{"Action":"output","Package":"p","Test":"TestHangs","Output":"panic: too long\n"}`,
		`{"Action":"skip","Package":"p","Test":"TestLazy"}`,
		`{"Action":"output","Package":"p","Output":"FAIL\tp\t1.5s\n"}`,
		`{"Action":"fail","Package":"p","Elapsed":1.5}`,
		`{"Action":"output","Package":"w","Output":"?   \tw\t[no test files]\n"}`,
		`{"Action":"skip","Package":"w"}`,
		`{"Action":"output","Package":"g","Output":"PASS\n"}`,
		`{"Action":"output","Package":"g","Output":"ok  \tg\t0.1s\n"}`,
		`{"Action":"pass","Package":"g"}`,
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
	want := "the reason\npanic: too long\nFAIL\tp\t1.5s\n?   \tw\t[no test files]\nok  \tg\t0.1s\nq.go:1: syntax error\ngo: not JSON\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("not what go test prints: %s", diff)
	}
}
