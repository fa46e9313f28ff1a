package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"vaultpam/store/storetest"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(bareEnv); address != "" { // this process is the reference
		serveBare(address)
		return
	}
	began := time.Now()
	loads = []float64{load()}
	code := storetest.Main(m)
	if full && len(figures) > 0 {
		text := circumstances(began) + "\n" + table()
		fmt.Print("\n", text)
		if path := os.Getenv("VAULTPAM_BENCH_TABLE"); path != "" {
			if err := insertTable(path, text); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = max(code, 1)
			}
		}
	}
	removeBuilt()
	os.Exit(code)
}

// circumstances says where and with what was measured, and what else ran.
func circumstances(began time.Time) string {
	busy := spreadOf(append(loads, load()))
	lines := []string{
		fmt.Sprintf("Measured %s, in %s, on commit %s.", began.UTC().Format("2006-01-02 15:04 UTC"), time.Since(began).Round(time.Second), first("git", "describe", "--always", "--dirty", "--tags")),
		fmt.Sprintf("%s, %d cores, %s of memory, %s; %s.", field("/proc/cpuinfo", "model name"), runtime.NumCPU(), field("/proc/meminfo", "MemTotal"), first("uname", "-sr"), runtime.Version()),
		fmt.Sprintf("%s; %s; SQLite of modernc.org/sqlite %s.", first("ssh", "-V"), postgresVersion(), moduleVersion("modernc.org/sqlite")),
		fmt.Sprintf("Load generator, references and server share this machine, over loopback, without TLS; rate limits are off. The load average, other load included, was %s in the median, from %s to %s.", number(busy.median), number(busy.least), number(busy.most)),
	}
	return strings.Join(lines, "  \n") + "\n"
}

// first is the first line that a program prints, whether it succeeds or not.
func first(program string, args ...string) string {
	out, _ := exec.Command(program, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" {
		return "no " + program
	}
	return line
}

func postgresVersion() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		found = []string{"postgres"}
	}
	return first(found[len(found)-1], "--version")
}

func moduleVersion(module string) string {
	return strings.TrimPrefix(first("go", "list", "-m", module), module+" ")
}

// field is the value of the first line "name: value" of a file in /proc.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// load is the load average over the last minute.
func load() float64 {
	var one float64
	text, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Sscan(string(text), &one)
	return one
}

const tableBegin, tableEnd = "<!-- table: made by make bench -->\n", "<!-- /table -->"

// insertTable replaces what stands between the marks in the file.
func insertTable(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(old), tableBegin)
	_, foot, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s does not say where the table belongs", path)
	}
	return os.WriteFile(path, []byte(head+tableBegin+"\n"+text+"\n"+tableEnd+foot), 0o644)
}
