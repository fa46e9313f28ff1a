package sealkms

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"vaultpam/internal/secret"
)

// ErrCredentials says that none were found.
var ErrCredentials = errors.New("awskms: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a credentials file that has the profile")

const maxFile = 64 << 10

// Find returns a function that looks for credentials as AWS's own tools do, at
// each use: in a file that was named, in the environment, in
// AWS_SHARED_CREDENTIALS_FILE, and in ~/.aws/credentials.
func Find(file, profile string, lookup func(string) (string, bool)) func() (Credentials, error) {
	get := func(name string) string { v, _ := lookup(name); return v }
	profile = cmp.Or(profile, get("AWS_PROFILE"), "default")
	return func() (Credentials, error) {
		if file != "" {
			return readFile(file, profile)
		}
		if id, key := get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"); id != "" && key != "" {
			return Credentials{ID: id, Secret: secret.FromString(key), Token: secret.FromString(get("AWS_SESSION_TOKEN"))}, nil
		}
		path := get("AWS_SHARED_CREDENTIALS_FILE")
		if path == "" {
			if home := get("HOME"); home != "" {
				path = filepath.Join(home, ".aws", "credentials")
			}
		}
		if path == "" {
			return Credentials{}, ErrCredentials
		}
		c, err := readFile(path, profile)
		if errors.Is(err, os.ErrNotExist) {
			err = ErrCredentials
		}
		return c, err
	}
}

func readFile(path, profile string) (Credentials, error) {
	f, err := os.Open(path)
	if err != nil {
		return Credentials{}, fmt.Errorf("awskms: credentials: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return Credentials{}, fmt.Errorf("awskms: credentials: %w", err)
	}
	defer clear(text)
	return parseFile(text, profile)
}

// parseFile reads a profile of a credentials file.
func parseFile(text []byte, profile string) (c Credentials, err error) {
	in := false
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if name, ok := strings.CutPrefix(line, "["); ok {
			name, _, _ = strings.Cut(name, "]")
			in = strings.TrimSpace(name) == profile
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !in || !ok || strings.HasPrefix(line, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			c.ID = value
		case "aws_secret_access_key":
			c.Secret = secret.FromString(value)
		case "aws_session_token":
			c.Token = secret.FromString(value)
		}
	}
	if lines.Err() != nil || c.ID == "" || c.Secret.Empty() || strings.ContainsAny(c.ID, ", /\t") {
		return Credentials{}, ErrCredentials
	}
	return c, nil
}
