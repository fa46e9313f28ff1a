package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
	"vaultpam/internal/secret"
	"vaultpam/wire/kdbx"
)

const (
	// The server takes more at once; with less, somebody who waits sees that
	// it goes on.
	importRows  = 200
	importBytes = 512 << 10
	maxImport   = 64 << 20 // of a file
)

// batch is some rows of a file, and where the first stands among all.
type batch struct {
	in    v1.AccountImportIn
	first int
	names []string // of the rows, as their file calls them; nil: it does not
}

func (a *app) importCommand() *cobra.Command {
	var format, typ, keyFile string
	var dry, create, update bool
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Bring in accounts from a CSV file or a KeePass database", Args: args(cobra.ExactArgs(1)),
		Long: "Bring in accounts from a CSV file, whose first line names the columns (docs/accounts.md), or from a KeePass database, which is opened here: neither the file nor its password goes to the server. An account of the same name at the same resource is left as it is, unless it has no credential yet or --update is given. --dry-run says what would become of each row.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			if format == "" {
				format = strings.TrimPrefix(strings.ToLower(filepath.Ext(argv[0])), ".")
			}
			text, err := readAtMost(argv[0], maxImport)
			if err != nil {
				return err
			}
			var batches []batch
			var local []importResult // rows that the server is not asked about
			switch format {
			case "csv":
				batches, err = csvBatches(text)
			case "kdbx":
				batches, local, err = kdbxBatches(text, keyFile, typ)
			default:
				err = usageError{fmt.Errorf("--format %s: csv and kdbx are understood", format)}
			}
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.runImport(cmd, c, batches, local, v1.AccountImportIn{DryRun: dry, CreateResources: create, Update: update})
		},
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", "", "csv or kdbx (by default what the file's name says)")
	f.BoolVar(&dry, "dry-run", false, "change nothing, and say what would become of each row")
	f.BoolVar(&create, "create-resources", false, "make the resources that are not there")
	f.BoolVar(&update, "update", false, "store a new version for accounts that have a credential")
	f.StringVar(&typ, "type", "ssh", "what a host of a KeePass entry is, if its URL does not say")
	f.StringVar(&keyFile, "key-file", "", "key file of the KeePass database")
	return cmd
}

func readAtMost(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s is larger than %d MiB", name, most>>20)
	}
	return text, err
}

// importResult is the outcome of a row, with what its file calls it.
type importResult struct {
	v1.AccountImportResult
	Entry string `json:"entry,omitempty"`
}

func (a *app) runImport(cmd *cobra.Command, c *client.Client, batches []batch, rows []importResult, options v1.AccountImportIn) error {
	counts := map[string]int{}
	var failed error
	for _, b := range batches {
		b.in.DryRun, b.in.CreateResources, b.in.Update = options.DryRun, options.CreateResources, options.Update
		var done v1.AccountImport
		failed = a.stepUp(cmd, c, func() (err error) {
			done, err = client.Post[v1.AccountImport](cmd.Context(), c, "/accounts/import", b.in)
			return err
		})
		if failed != nil {
			break // what was brought in before is shown
		}
		for _, r := range done.Rows {
			out := importResult{AccountImportResult: r}
			if b.names != nil && r.Row >= 1 && r.Row <= len(b.names) {
				out.Entry = b.names[r.Row-1]
			}
			out.Row += b.first
			rows = append(rows, out)
		}
	}
	for _, r := range rows {
		counts[r.Action]++
	}
	err := show(cmd, a, rows,
		col("ROW", func(r importResult) string { return fmt.Sprint(r.Row) }),
		col("ACTION", func(r importResult) string { return r.Action }),
		col("ACCOUNT", func(r importResult) string { return orID(r.Name, orID(r.Entry, "-")) }),
		col("RESOURCE", func(r importResult) string {
			if r.CreatesResource {
				return "new " + r.ResourceID
			}
			return orID(r.ResourceID, "-")
		}),
		col("PROBLEM", func(r importResult) string {
			var out []string
			for _, d := range r.Details {
				out = append(out, d.Field+" "+d.Problem)
			}
			return orID(strings.Join(out, "; "), "-")
		}),
	)
	if failed != nil || err != nil {
		return errors.Join(failed, err)
	}
	words := []any{"", counts["create"], counts["update"], counts["skip"], counts["error"]}
	if words[0] = "done"; options.DryRun {
		words[0] = "dry run, nothing was changed"
	}
	cmd.PrintErrf("%s: %d created, %d updated, %d skipped, %d in error\n", words...)
	if counts["error"] > 0 {
		return exitCode(exitFailed)
	}
	return nil
}

// csvBatches cuts a file into parts that the server takes, each with the first
// line. What is in them is the server's to read.
func csvBatches(text []byte) ([]batch, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\uFEFF"))))
	r.FieldsPerRecord = -1
	if first, _, _ := bytes.Cut(text, []byte("\n")); bytes.Contains(first, []byte(";")) && !bytes.Contains(first, []byte(",")) {
		r.Comma = ';'
	}
	records, err := r.ReadAll()
	if e, ok := errors.AsType[*csv.ParseError](err); ok { // whose text does not quote the file either
		return nil, fmt.Errorf("the file cannot be read at line %d: %w", e.Line, e.Err)
	}
	if err != nil || len(records) < 2 {
		return nil, errors.New("the file has no rows: its first line names the columns")
	}
	var out []batch
	var part bytes.Buffer
	w := csv.NewWriter(&part)
	w.Comma = r.Comma
	rows := 0
	flush := func(upTo int) {
		w.Flush()
		if rows > 0 {
			out = append(out, batch{in: v1.AccountImportIn{CSV: part.String()}, first: upTo - rows})
		}
		part.Reset()
		rows = 0
	}
	for i, record := range records[1:] {
		if w.Flush(); rows == importRows || part.Len() > importBytes {
			flush(i)
		}
		if rows == 0 {
			_ = w.Write(records[0]) // into memory
		}
		_ = w.Write(record)
		rows++
	}
	flush(len(records) - 1)
	return out, nil
}

// kdbxBatches opens a database. Entries that it would be wrong to bring in as
// they stand are told apart here.
func kdbxBatches(text []byte, keyFile, typ string) ([]batch, []importResult, error) {
	var key []byte
	if keyFile != "" {
		var err error
		if key, err = readAtMost(keyFile, 1<<20); err != nil {
			return nil, nil, err
		}
	}
	password, err := askSecret("Password of the database: ")
	if err != nil && !(errors.Is(err, io.EOF) && key != nil) {
		return nil, nil, err
	}
	entries, err := kdbx.Open(text, secret.FromString(password), key)
	if err != nil {
		return nil, nil, err
	}
	var out []batch
	var local []importResult
	size := 0
	for i, e := range entries {
		name := strings.Join(append(e.Groups, e.Title), "/")
		row, problem := kdbxRow(e, typ)
		e.Wipe()
		if problem != nil {
			local = append(local, importResult{Entry: name, AccountImportResult: v1.AccountImportResult{Row: i + 1, Action: "error", Details: []v1.Problem{*problem}}})
			continue
		}
		length, err := json.Marshal(row)
		if err != nil {
			return nil, nil, err
		}
		// The rows of a batch are numbered one after the other.
		n := len(out) - 1
		if n < 0 || len(out[n].in.Rows) == importRows || size > importBytes || out[n].first+len(out[n].in.Rows) != i {
			out, n, size = append(out, batch{first: i, names: []string{}}), n+1, 0
		}
		size += len(length)
		out[n].in.Rows, out[n].names = append(out[n].in.Rows, row), append(out[n].names, name)
	}
	return out, local, nil
}

func kdbxRow(e kdbx.Entry, typ string) (v1.AccountImportRow, *v1.Problem) {
	row := v1.AccountImportRow{Name: e.Title, Username: e.Username, URL: e.URL}
	if e.URL != "" && !strings.Contains(e.URL, "://") {
		row.Type = typ
	}
	for field, text := range map[string]string{"username": e.Username, "url": e.URL, "value": string(e.Password.Expose())} {
		if upper := strings.ToUpper(text); strings.Contains(upper, "{REF:") || strings.Contains(upper, "{URL") || strings.Contains(upper, "{USERNAME}") {
			return row, &v1.Problem{Field: field, Problem: "refers to another field, which only KeePass resolves"}
		}
	}
	var keys []string
	for _, f := range e.Files {
		if text := string(f.Data.Expose()); strings.HasPrefix(text, "-----BEGIN ") && strings.Contains(text[:min(len(text), 64)], "PRIVATE KEY-----") {
			keys = append(keys, text)
		}
	}
	switch {
	case len(keys) > 1:
		return row, &v1.Problem{Field: "private_key", Problem: "several are attached"}
	case len(keys) == 1:
		row.Credential = &v1.CredentialIn{Kind: "ssh_key", PrivateKey: keys[0], Passphrase: string(e.Password.Expose())}
	case !e.Password.Empty():
		row.Credential = &v1.CredentialIn{Kind: "password", Value: string(e.Password.Expose())}
	}
	return row, nil
}
