package sshtarget

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
)

const (
	maxPath = 1024
	maxFile = 256 << 10 // bytes of a value that is a whole file
)

// File is a place that holds a copy of a secret.
type File struct {
	Path string // absolute; the file must be there
	// Key is the name in an env file, whose line `KEY=value` (or `export
	// KEY=value`) gets another value, quoted as it was. "" is the whole file.
	Key string
	// User is as whom it is written; "" is who logs in. See AddKey.
	User string
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (f File) check() error {
	switch {
	case len(f.Path) > maxPath || !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" || !utf8.ValidString(f.Path) ||
		strings.ContainsFunc(f.Path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: not an absolute path of a file", ErrRefused)
	case f.Key != "" && !envName.MatchString(f.Key):
		return fmt.Errorf("%w: not a name in an env file", ErrRefused)
	case f.User != "" && !account.MatchString(f.User):
		return fmt.Errorf("%w: not a name of an account", ErrRefused)
	}
	return nil
}

var bare = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// quotings are the ways in which a value can stand in an env file so that every
// reader (a shell, systemd, docker, dotenv) reads the same: u without quotes, s
// in single and d in double ones.
func quotings(value []byte) string {
	out := "-"
	if !utf8.Valid(value) || len(value) == 0 || len(value) > 4<<10 || bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return out
	}
	if bare.Match(value) {
		out += "u"
	}
	if !bytes.ContainsAny(value, "'\\") {
		out += "s"
	}
	if !bytes.ContainsAny(value, "\"\\$`!") {
		out += "d"
	}
	return out
}

// UpdateFile writes a value to a place that holds a copy of it. The new file
// takes the place of the old one at once, with its mode and owner, and is read
// again. As root it is refused where others could lead root astray.
func UpdateFile(ctx context.Context, conn net.Conn, o Options, f File, value secret.Value) error {
	err := f.check()
	text := value.Expose()
	styles := quotings(text)
	switch {
	case err != nil:
	case f.Key != "" && styles == "-":
		err = fmt.Errorf("%w: the value cannot stand in an env file", ErrRefused)
	case len(text) == 0 || len(text) > maxFile:
		err = fmt.Errorf("%w: a file has 1 to %d bytes", ErrRefused, maxFile)
	}
	if err != nil {
		_ = conn.Close()
		return err
	}
	sum := sha256.Sum256(text)
	want := hex.EncodeToString(sum[:])
	in := []byte(strings.Join([]string{f.Path, f.Key, styles, "'", strconv.Itoa(len(text)), want}, "\n") + "\n")
	in = append(in, text...)
	if f.Key != "" {
		in = append(in, '\n') // by which a value that was cut is told from a whole one
	}
	defer clear(in)
	return change(ctx, conn, o, func(c *ssh.Client) error {
		r, err := run(c, as(o.Username, f.User, rewriting+fileScript), in)
		if err != nil {
			return err
		}
		return outcome(r)
	})
}

const fileScript = `IFS= read -r file
IFS= read -r key
IFS= read -r styles
IFS= read -r apos
IFS= read -r length
IFS= read -r sum
[ ! -L "$file" ] && [ -f "$file" ] || exit 65
dir=$(cd -P "$(dirname "$file")" && pwd -P)
file=${dir%/}/$(basename "$file")
if [ "$(id -u)" = 0 ]; then
	while :; do
		set -- $(ls -ldn "$dir")
		[ "$3" = 0 ] || exit 69
		case $1 in
		?????w* | ????????w*) exit 69 ;;
		esac
		[ "$dir" != / ] || break
		dir=${dir%/*}
		[ -n "$dir" ] || dir=/
	done
fi
begin "$file"
if command -v sha256sum >/dev/null; then
	hash() { sha256sum; }
elif command -v shasum >/dev/null; then
	hash() { shasum -a 256; }
else
	exit 76
fi
locate() {
	case $1 in
	"$key="*) pre="$key=" ;;
	"export $key="*) pre="export $key=" ;;
	*) return 1 ;;
	esac
	old=${1#"$pre"}
	style=u quote=
	case $old in
	\"*\") style=d quote=\" ;;
	"$apos"*"$apos") style=s quote=$apos ;;
	\"* | "$apos"* | *\\) exit 72 ;;
	esac
}
digest() {
	if [ -z "$key" ]; then
		hash <"$1"
		return
	fi
	while IFS= read -r line || [ -n "$line" ]; do
		locate "$line" || continue
		old=${old#"$quote"}
		printf "%s" "${old%"$quote"}" | hash
	done <"$1"
}
beside "$file"
if [ -z "$key" ]; then
	cat >"$tmp"
	[ "$(wc -c <"$tmp")" -eq "$length" ] || exit 71
else
	IFS= read -r value
	count=0
	while IFS= read -r line || [ -n "$line" ]; do
		if locate "$line"; then
			count=$((count + 1))
			case $styles in
			*"$style"*) ;;
			*) exit 68 ;;
			esac
			line=$pre$quote$value$quote
		fi
		printf "%s\n" "$line"
	done <"$file" >"$tmp"
	[ "$count" = 1 ] || exit 72
	[ "$(wc -l <"$tmp")" -ge "$(wc -l <"$file")" ] || exit 71
fi
case $(digest "$tmp") in
"$sum "*) ;;
*) exit 71 ;;
esac
replace "$file"
case $(digest "$file" || :) in
"$sum "*) ;;
*) exit 75 ;;
esac
`
