package account

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// MaxCSV bounds a CSV file.
const MaxCSV = 900 << 10

// ignored are columns that exports of password managers have, and that say
// nothing of an account.
var ignored = []string{"group", "notes", "totp", "icon", "last modified", "created"}

// columns are what a CSV file may have, and where it goes.
var columns = map[string]func(*csvRow, string){
	"name":        func(r *csvRow, v string) { r.Name = v },
	"title":       func(r *csvRow, v string) { r.Name = v },
	"username":    func(r *csvRow, v string) { r.Username = v },
	"kind":        func(r *csvRow, v string) { r.credential.Kind = Kind(strings.TrimSpace(v)) },
	"value":       func(r *csvRow, v string) { r.credential.Value = secret.FromString(v) },
	"password":    func(r *csvRow, v string) { r.credential.Value = secret.FromString(v) },
	"private_key": func(r *csvRow, v string) { r.credential.PrivateKey = secret.FromString(v) },
	"passphrase":  func(r *csvRow, v string) { r.credential.Passphrase = secret.FromString(v) },
	"certificate": func(r *csvRow, v string) { r.credential.Certificate = v },
	"resource":    func(r *csvRow, v string) { r.At.Ref = strings.TrimSpace(v) },
	"url":         func(r *csvRow, v string) { r.url = strings.TrimSpace(v) },
	"type":        func(r *csvRow, v string) { r.At.Type = pam.Protocol(strings.TrimSpace(v)) },
	"host":        func(r *csvRow, v string) { r.At.Host = strings.TrimSpace(v) },
	"port":        func(r *csvRow, v string) { r.port = strings.TrimSpace(v) },
}

type csvRow struct {
	ImportRow
	credential NewCredential
	url, port  string
}

// ReadCSV reads accounts from a CSV file (RFC 4180) whose first line names the
// columns. What is wrong with one row is in the row; an error is about the
// file. Nothing quotes it: in a file without a first line, a secret stands
// there.
func ReadCSV(text []byte) ([]ImportRow, error) {
	const op = "read CSV"
	wrong := func(format string, args ...any) error {
		return &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "csv", Problem: fmt.Sprintf(format, args...)}}}
	}
	if len(text) > MaxCSV {
		return nil, wrong("is larger than %d KiB: import it in parts", MaxCSV>>10)
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\uFEFF"))))
	r.FieldsPerRecord = -1
	if first, _, _ := bytes.Cut(text, []byte("\n")); bytes.Contains(first, []byte(";")) && !bytes.Contains(first, []byte(",")) {
		r.Comma = ';' // as spreadsheets write it where the comma is in numbers
	}
	head, err := r.Read()
	if err != nil {
		return nil, wrong("has no first line that names the columns")
	}
	for i, name := range head {
		head[i] = strings.ToLower(strings.TrimSpace(name))
		if columns[head[i]] == nil && !slices.Contains(ignored, head[i]) {
			return nil, wrong("has a column %d that is not known; the first line names the columns", i+1)
		}
		if slices.Index(head, head[i]) != i {
			return nil, wrong("has column %d twice", i+1)
		}
	}
	var rows []ImportRow
	for {
		record, err := r.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			line := 0
			if e, ok := errors.AsType[*csv.ParseError](err); ok {
				line = e.Line
			}
			return nil, wrong("cannot be read at line %d: a quotation mark is missing or stands where it must not", line)
		}
		if len(rows) == MaxImport {
			return nil, wrong("has more than %d rows: import it in parts", MaxImport)
		}
		rows = append(rows, csvRecord(head, record))
	}
}

func csvRecord(head, record []string) ImportRow {
	var r csvRow
	if len(record) != len(head) {
		r.Problems.Add("row", fmt.Sprintf("has %d columns instead of %d", len(record), len(head)))
		return r.ImportRow
	}
	for i, v := range record {
		if set := columns[head[i]]; set != nil && v != "" {
			set(&r, v)
		}
	}
	if r.port != "" {
		n, err := strconv.ParseUint(r.port, 10, 16)
		if r.At.Port = int(n); err != nil || n == 0 {
			r.Problems.Add("port", "must be 1 to 65535")
		}
	}
	if r.url != "" {
		r.At.FromURL(r.url, &r.Problems)
	}
	c := r.credential
	if c.Kind == "" {
		if c.Kind = Password; !c.PrivateKey.Empty() {
			c.Kind = SSHKey
		}
	}
	if !c.Value.Empty() || !c.PrivateKey.Empty() || c.Certificate != "" || c.Kind == Made {
		r.Credential = &c
	}
	return r.ImportRow
}

// schemes are what URLs of targets begin with, and the port that they mean
// where it is not the type's own.
var schemes = map[string]struct {
	at   pam.Protocol
	port int
}{
	"ssh": {pam.SSH, 0}, "sftp": {pam.SSH, 0}, "scp": {pam.SSH, 0}, "postgres": {pam.PostgreSQL, 0}, "postgresql": {pam.PostgreSQL, 0}, "mysql": {pam.MySQL, 0}, "mariadb": {pam.MySQL, 0},
	"redis": {pam.Redis, 0}, "rediss": {pam.Redis, 0}, "sqlserver": {pam.MSSQL, 0}, "mssql": {pam.MSSQL, 0}, "mongodb": {pam.MongoDB, 0},
	"http": {pam.HTTP, 80}, "https": {pam.HTTP, 443}, "rdp": {pam.RDP, 0}, "vnc": {pam.VNC, 0}, "ldap": {pam.LDAP, 389}, "ldaps": {pam.LDAP, 636},
}

// FromURL takes type, host and port from a URL, or host and port alone. What
// else is in it, a password even, is left.
func (p *Place) FromURL(text string, ps *pam.Problems) {
	if p.Ref != "" {
		return // it is said already where the account is
	}
	if !strings.Contains(text, "://") {
		text = "//" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		ps.Add("url", "is not a URL or a host")
		return
	}
	scheme, known := schemes[strings.ToLower(u.Scheme)]
	if u.Scheme != "" && !known {
		ps.Add("url", "begins with a scheme that is not known")
		return
	}
	port := scheme.port
	if u.Port() != "" {
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if port = int(n); err != nil || n == 0 {
			ps.Add("url", "has a port that is none")
			return
		}
	}
	if p.Type != "" && known && p.Type != scheme.at || p.Host != "" && p.Host != u.Hostname() || p.Port != 0 && port != 0 && p.Port != port {
		ps.Add("url", "says otherwise than type, host and port")
		return
	}
	p.Host = u.Hostname()
	if p.Type == "" {
		p.Type = scheme.at
	}
	if p.Port == 0 {
		p.Port = port
	}
}
