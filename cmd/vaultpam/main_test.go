package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vaultpam/client"
)

func TestTheServersCommandIsTakenApartWithoutAShell(t *testing.T) {
	got, err := splitCommand(`ssh -p 2222 'alice@example.com+saf_1+acc_1@res_1'@pam.example.com`)
	want := []string{"ssh", "-p", "2222", "alice@example.com+saf_1+acc_1@res_1@pam.example.com"}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	got, err = splitCommand(`ssh $(reboot) ; rm -rf`)
	if d := cmp.Diff([]string{"ssh", "$(reboot)", ";", "rm", "-rf"}, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	if _, err := splitCommand(`ssh 'open`); err == nil {
		t.Error("an open quote was read")
	}
}

func TestAHostileServerCannotRunAnotherProgramOrOptions(t *testing.T) {
	for _, command := range []string{"", "sh -c id", "/tmp/ssh x", "ssh -o ProxyCommand=id host", "ssh -oProxyCommand=id host", "ssh host -F/tmp/x"} {
		if _, err := sshArguments(command); err == nil {
			t.Errorf("%q would be run", command)
		}
	}
	for command, destination := range map[string]string{
		"ssh -p 2222 'a@b+c'@host":         "a@b+c@host",
		`ssh -p 2222 'o'\''hara@b+c'@host`: "o'hara@b+c@host",
	} {
		got, err := sshArguments(command)
		if d := cmp.Diff([]string{"ssh", "-p", "2222", "--", destination}, got); err != nil || d != "" {
			t.Errorf("%v %s", err, d)
		}
	}
}

func TestExitCodesTellRefusalsApart(t *testing.T) {
	for status, want := range map[int]int{401: exitLogin, 403: exitDenied, 423: exitDenied, 404: exitNotFound, 409: exitConflict, 412: exitConflict, 422: exitConflict, 429: exitUnavailable, 503: exitUnavailable, 500: exitFailed} {
		if got := codeOf(&client.Error{Status: status}); got != want {
			t.Errorf("%d exits with %d, want %d", status, got, want)
		}
	}
	if codeOf(usageError{errors.New("x")}) != exitUsage || codeOf(errors.New("x")) != exitFailed {
		t.Error("errors of our own exit wrongly")
	}
}

func TestNamesCannotSteerTheTerminal(t *testing.T) {
	if got := printable("a\x1b]0;owned\x07b\nc\u009b\u202ed"); got != "a·]0;owned·b·c··d" {
		t.Errorf("%q", got)
	}
}

func TestFieldsAreJSONWhereTheyCanBe(t *testing.T) {
	got, err := document("", []string{"port=22", "host=db1", "on=true", `list=["a"]`, "text=a=b"})
	want := map[string]any{"port": 22.0, "host": "db1", "on": true, "list": []any{"a"}, "text": "a=b"}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	if _, err := document("", []string{"novalue"}); err == nil {
		t.Error("a field without a value was read")
	}
}

func TestEveryCommandSaysWhatItDoes(t *testing.T) {
	for _, c := range root(&app{}).Commands() {
		if c.Short == "" {
			t.Errorf("%s says nothing", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			if sub.Short == "" {
				t.Errorf("%s says nothing", sub.CommandPath())
			}
		}
	}
}
