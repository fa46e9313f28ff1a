package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"vaultpam/internal/kit"
	"vaultpam/internal/secret"
)

// A secret of a kit is shown as it can be typed again, whoever has chosen it.
func TestKitIsShownWithoutSteeringTheTerminal(t *testing.T) {
	key := "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"
	entries := []kit.Entry{
		{Name: "web\x1b[2J", Username: "root", Kind: "password", Version: 3, Resources: []kit.Resource{{Name: "db", Type: "ssh", Host: "2001:db8::1", Port: 22}}, Value: secret.FromString("pa\x1b[31mss")},
		{Name: "key", Kind: "ssh_key", Version: 1, Value: secret.FromString(key)},
	}
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&out)
	if err := (&app{output: "table"}).printKit(cmd, entries); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"web·[2J  password, version 3, user root\n  db  ssh [2001:db8::1]:22\n", `"pa\x1b[31mss"`, "\n" + key + "\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q", out.String())
	}
	out.Reset()
	if err := (&app{output: "json"}).printKit(cmd, []kit.Entry{{Value: secret.New([]byte{0xff, 0})}}); err != nil || !strings.Contains(out.String(), `"value_base64": "/wA="`) {
		t.Errorf("%v %q", err, out.String())
	}
}
