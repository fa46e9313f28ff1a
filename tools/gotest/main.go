// Command gotest runs `go test` with its arguments, prints what that prints,
// and fails where it would not: when a test was skipped, or when none ran.
//
// It owns the verdict on a test run. It must not know any test. Start at
// [report].
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// event is one line of `go test -json` (go doc test2json), and of the build
// output in it (go help buildjson).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build events
	Test       string // empty for what concerns the whole package
	Output     string
}

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	started := time.Now()
	c := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		return 1
	}
	sum, err := report(os.Stdout, out)
	// What is left unread would block go test for ever.
	_, _ = io.Copy(io.Discard, out)
	exit := c.Wait()
	fmt.Printf("%d tests passed, %d failed, %d skipped in %s\n", sum.passed, len(sum.failed), len(sum.skipped), time.Since(started).Round(time.Second))
	for _, name := range sum.failed {
		fmt.Println("  failed:", name)
	}
	for _, name := range sum.skipped {
		fmt.Println("  skipped, which is a failure here:", name)
	}
	switch {
	case err != nil:
		fmt.Println("gotest:", err)
	case exit != nil:
		fmt.Println("gotest: go test:", exit)
	case sum.passed == 0:
		fmt.Println("gotest: no test ran")
	case len(sum.failed) == 0 && len(sum.skipped) == 0:
		return 0
	}
	return 1
}

// summary is what a run amounts to. Tests are named "package test".
type summary struct {
	passed          int
	failed, skipped []string
}

// line is output that waits for its test's verdict.
type line struct{ test, text string }

// report reads the events of a run and writes what go test writes without
// -json: one line for each package, and what failed tests have said.
func report(w io.Writer, events io.Reader) (summary, error) {
	var sum summary
	said := map[string][]line{}     // by package
	passed := map[string][]string{} // tests by package
	in := bufio.NewReader(events)
	for {
		text, err := in.ReadString('\n')
		if text = strings.TrimSpace(text); text != "" {
			var e event
			if json.Unmarshal([]byte(text), &e) != nil {
				fmt.Fprintln(w, text) // go itself, not a test
			} else {
				take(w, &sum, said, passed, e)
			}
		}
		if err == io.EOF {
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
	}
}

func take(w io.Writer, sum *summary, said map[string][]line, passed map[string][]string, e event) {
	name := strings.TrimSpace(e.Package + " " + e.Test)
	switch e.Action {
	case "build-output":
		fmt.Fprint(w, e.Output)
	case "output":
		said[e.Package] = append(said[e.Package], line{e.Test, e.Output})
	case "pass":
		if e.Test != "" {
			sum.passed++
			passed[e.Package] = append(passed[e.Package], e.Test)
			return
		}
		verdict(w, said[e.Package])
		delete(said, e.Package)
	case "skip":
		if e.Test != "" {
			sum.skipped = append(sum.skipped, name)
			return
		}
		verdict(w, said[e.Package]) // a package that has no tests
	case "fail":
		sum.failed = append(sum.failed, name)
		if e.Test != "" {
			return
		}
		for _, l := range said[e.Package] {
			// Tests that never ended, as in a panic, speak too.
			if !slices.Contains(passed[e.Package], l.test) && !strings.HasPrefix(l.text, "=== ") {
				fmt.Fprint(w, l.text)
			}
		}
	}
}

// verdict writes the line with which go test sums a package up.
func verdict(w io.Writer, said []line) {
	for _, l := range said {
		if l.test == "" && (strings.HasPrefix(l.text, "ok  \t") || strings.HasPrefix(l.text, "?   \t")) {
			fmt.Fprint(w, l.text)
		}
	}
}
