package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
)

const mod = `module m

go 1.26.0

require (
	example.com/fine v1.2.0
	example.com/old v1.1.9
	example.com/unexplained v1.0.0
)

require example.com/deep v0.9.0 // indirect

require example.com/deeper v0.1.0 // indirect

replace example.com/fine => example.com/fork v1.2.0
`

const table = "text before\n\n" +
	"| module | floor | licence | reason |\n|---|---|---|---|\n" +
	"| `go` | v1.26.0 | BSD-3 | it is written in it |\n" +
	"| `example.com/fine` | v1.2.0 | MIT | does well |\n" +
	"| `example.com/old` | v1.1.10 | MIT | has a hole |\n" +
	"| `example.com/deep` | v1.0.0 | MIT | has a hole that others bring |\n" +
	"| `example.com/later` | v3.0.0 | MIT | not used yet |\n"

func TestFloorsHoldForDirectAndIndirectRequirements(t *testing.T) {
	file, err := modfile.Parse("go.mod", []byte(mod), nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parseTable(table)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"example.com/fine is replaced by example.com/fork, which no floor covers",
		"example.com/deep is v0.9.0, below its floor v1.0.0",
		"example.com/old is v1.1.9, below its floor v1.1.10",
		"example.com/unexplained is a direct dependency without a line in the table",
	}
	if diff := cmp.Diff(want, violations(file, rows)); diff != "" {
		t.Error(diff)
	}
}

const lock = `{"packages": {
	"": {"dependencies": {"fine": "1.0.0"}, "devDependencies": {"@of/unexplained": "2.0.0"}},
	"node_modules/fine": {"version": "1.0.0", "integrity": "sha512-x"},
	"node_modules/@of/unexplained": {"version": "2.0.0", "integrity": "sha512-x"},
	"node_modules/deep": {"version": "3.0.0", "integrity": "sha512-x"},
	"node_modules/fine/node_modules/deep": {"version": "1.9.0", "integrity": "sha512-x"},
	"node_modules/fine/node_modules/bundled": {"version": "1.0.0", "inBundle": true},
	"node_modules/from-afar": {"version": "1.0.0", "resolved": "https://registry.invalid/x.tgz"}
}}`

func TestFloorsHoldForTheConsoleToo(t *testing.T) {
	rows, err := parseTable("| `npm:fine` | - | MIT | does well |\n| `npm:deep` | v2.0.0 | MIT | had a hole |\n")
	if err != nil {
		t.Fatal(err)
	}
	uses, found, err := locked([]byte(lock))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"npm:from-afar names where it was downloaded from",
		"npm:from-afar has no hash",
		"npm:@of/unexplained is a direct dependency without a line in the table",
		"npm:deep is v1.9.0, below its floor v2.0.0",
	}
	if diff := cmp.Diff(want, append(found, below(uses, rows)...)); diff != "" {
		t.Error(diff)
	}
	for name, text := range map[string]string{"no JSON": "x", "no packages": "{}"} {
		if _, _, err := locked([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBrokenTablesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no table":     "words only",
		"three cells":  "| `a.b/c` | v1.0.0 | MIT |",
		"no version":   "| `a.b/c` | 1.0 | MIT | why |",
		"module twice": "| `a.b/c` | - | MIT | why |\n| `a.b/c` | - | MIT | why |",
	} {
		if _, err := parseTable(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestThisTreeKeepsItsFloors(t *testing.T) {
	found, err := compare("../../go.mod", "../../web/package-lock.json", "../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range found {
		t.Error(text)
	}
}
