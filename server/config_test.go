package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func load(t *testing.T, args []string, env map[string]string) (Config, error) {
	t.Helper()
	var c Config
	fs := pflag.NewFlagSet("server", pflag.ContinueOnError)
	c.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	err := Load(fs, func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	return c, err
}

func TestFlagsWinOverVariablesAndVariablesOverTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:1\nssh-listen: 127.0.0.1:1\ndata-dir: from-file\nlocal-allow: [10.0.0.0/8, 192.0.2.0/24]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, []string{"--config", file, "--listen", "127.0.0.1:3"}, map[string]string{"VAULTPAM_LISTEN": "127.0.0.1:2", "VAULTPAM_SSH_LISTEN": "127.0.0.1:2", "DATABASE_URL": "postgres://x"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:3" || c.SSHListen != "127.0.0.1:2" || c.DataDir != "from-file" || c.DatabaseURL != "postgres://x" || len(c.LocalAllow) != 2 {
		t.Errorf("%+v", c)
	}
}

func TestSecretsAreReadFromFilesAndNeverQuoted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(file, []byte("s3cret-canary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, nil, map[string]string{"VAULTPAM_DEV_PASSWORD_FILE": file})
	if err != nil || c.DevPassword != "s3cret-canary" {
		t.Fatalf("%q, %v", c.DevPassword, err)
	}
	_, err = load(t, nil, map[string]string{"VAULTPAM_LOGIN_TTL": "s3cret-canary"})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}

func TestUnknownSettingsInTheFileAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("listne: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, []string{"--config", file}, nil); err == nil {
		t.Error("accepted")
	}
}

func TestUnsafeConfigurationsAreRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"plain HTTP beyond loopback":  {Listen: "0.0.0.0:80"},
		"plain HTTP on every address": {Listen: ":80"},
		"dev beyond loopback":         {Dev: true, Listen: "0.0.0.0:8080"},
		"dev SSH beyond loopback":     {Dev: true, SSHListen: ":2222"},
		"a certificate without a key": {TLSCert: "x"},
		"files and ACME at once":      {TLSCert: "x", TLSKey: "y", ACMEDomains: []string{"a"}},
		"open metrics":                {Listen: "127.0.0.1:1", Metrics: ":9000"},
		"a database we do not know":   {Listen: "127.0.0.1:1", DatabaseURL: "mysql://x"},
		"a network that is none":      {Listen: "127.0.0.1:1", LocalAllow: []string{"tenbits"}},
		"limits that are none":        {Listen: "127.0.0.1:1", RateLimits: "many"},
		"proxies that are none":       {Listen: "127.0.0.1:1", Proxies: "all"},
		"a name that may be anything": {Listen: "example.com:80"},
	} {
		if err := c.complete(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	good := Config{Dev: true}
	if err := good.complete(); err != nil || good.Listen != "127.0.0.1:8080" || good.KeyFile != "data/root.key" {
		t.Errorf("%+v: %v", good, err)
	}
}
