package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"vaultpam/client"
)

// app is what the commands share: how to answer, and as whom to ask.
type app struct {
	output     string
	understood bool // the command line names a command, with flags and arguments that it takes
}

// login is what is kept between commands, in a file that only its owner reads.
type login struct {
	BaseURL   string    `json:"base_url"`
	Token     string    `json:"token"`
	OrgID     string    `json:"org_id"`
	Email     string    `json:"email"`
	ExpiresAt time.Time `json:"expires_at"`
}

func loginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no place for the login: %w", err)
	}
	return filepath.Join(dir, "vaultpam", "login.json"), nil
}

func readLogin() (login, error) {
	var l login
	path, err := loginFile()
	if err != nil {
		return l, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("%s is damaged; sign in again with vaultpam login", path)
	}
	return l, nil
}

func writeLogin(l login) error {
	path, err := loginFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// client speaks as the caller: the environment wins over the kept login.
func (a *app) client() (*client.Client, error) {
	l, err := readLogin()
	if err != nil {
		return nil, err
	}
	base, token, org := env("VAULTPAM_BASE_URL", l.BaseURL), env("VAULTPAM_TOKEN", l.Token), env("VAULTPAM_ORG_ID", l.OrgID)
	if base == "" {
		return nil, errors.New("no server is known: set VAULTPAM_BASE_URL or run vaultpam login URL")
	}
	if token == "" {
		return nil, &client.Error{Status: 401, Envelope: notSignedIn}
	}
	return client.New(base, token, org)
}

// signedIn gives a command the client to speak with.
func (a *app) signedIn(act func(cmd *cobra.Command, c *client.Client, argv []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, argv []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		return act(cmd, c, argv)
	}
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	if path := os.Getenv(name + "_FILE"); path != "" {
		if text, err := os.ReadFile(path); err == nil {
			return strings.TrimRight(string(text), "\r\n")
		}
	}
	return otherwise
}

// column is one column of a table.
type column[T any] struct {
	head string
	cell func(T) string
}

func col[T any](head string, cell func(T) string) column[T] { return column[T]{head, cell} }

// list shows everything that a list answers.
func list[T any](cmd *cobra.Command, a *app, c *client.Client, path string, q url.Values, columns ...column[T]) error {
	rows, err := client.All[T](cmd.Context(), c, path, q)
	if err != nil {
		return err
	}
	return show(cmd, a, rows, columns...)
}

// show prints rows as a table or as JSON.
func show[T any](cmd *cobra.Command, a *app, rows []T, columns ...column[T]) error {
	if a.output == "json" {
		if rows == nil {
			rows = []T{}
		}
		return printJSON(cmd.OutOrStdout(), rows)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for i, c := range columns {
		fmt.Fprint(w, c.head, ends(i, len(columns)))
	}
	for _, row := range rows {
		for i, c := range columns {
			fmt.Fprint(w, printable(c.cell(row)), ends(i, len(columns)))
		}
	}
	return w.Flush()
}

func ends(i, n int) string {
	if i == n-1 {
		return "\n"
	}
	return "\t"
}

// one prints a single object, unless there is none because of err.
func one[T any](cmd *cobra.Command, a *app, v T, err error) error {
	if err != nil {
		return err
	}
	if a.output == "json" {
		return printJSON(cmd.OutOrStdout(), v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	if _, err := dec.Token(); err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for dec.More() { // the fields in their own order
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return err
		}
		fmt.Fprintf(w, "%v\t%s\n", name, printable(plain(value)))
	}
	return w.Flush()
}

func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return v
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printable keeps what others have named from steering our terminal, and from
// reading otherwise than it is (Cf holds the marks that change the direction).
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return '·'
		}
		return r
	}, s)
}

func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// askSecret reads a secret from the terminal without echo, or a line of
// standard input when that is no terminal.
func askSecret(prompt string) (string, error) {
	if term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprint(os.Stderr, prompt)
		b, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(os.Stderr)
		return string(b), err
	}
	return readLine()
}

// readLine reads one line byte by byte, so that what follows stays unread.
func readLine() (string, error) {
	var line []byte
	var b [1]byte
	for len(line) < 64<<10 {
		n, err := os.Stdin.Read(b[:])
		if n == 1 {
			if b[0] == '\n' {
				break
			}
			line = append(line, b[0])
		}
		if err == io.EOF && len(line) > 0 {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return strings.TrimSuffix(string(line), "\r"), nil
}

func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}
