package sshtarget

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
)

// AddKey lets an account in by one more key: an authorized_keys line, which may
// begin with options. "" is the account that logs in; for another one, the
// login is root or may run sudo as it. A key that is there is left as it is.
func AddKey(ctx context.Context, conn net.Conn, o Options, user, line string) error {
	line = strings.TrimSpace(line)
	key, err := parseAuthorized(line)
	if err != nil {
		_ = conn.Close()
		return err
	}
	return editKeys(ctx, conn, o, user, "add", key, line)
}

// RemoveKey takes a key away from an account, whatever options it has there.
// One that is not there is no error.
func RemoveKey(ctx context.Context, conn net.Conn, o Options, user, line string) error {
	key, err := parseAuthorized(strings.TrimSpace(line))
	if err != nil {
		_ = conn.Close()
		return err
	}
	return editKeys(ctx, conn, o, user, "remove", key, "")
}

func parseAuthorized(line string) (ssh.PublicKey, error) {
	bad := fmt.Errorf("%w: not a line of authorized_keys", ErrRefused)
	if len(line) > maxHostKey || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, bad
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(rest) > 0 || len(signatureAlgorithms(key.Type())) == 0 {
		return nil, bad
	}
	return key, nil
}

func editKeys(ctx context.Context, conn net.Conn, o Options, user, op string, key ssh.PublicKey, line string) error {
	if user != "" && !account.MatchString(user) {
		_ = conn.Close()
		return fmt.Errorf("%w: not a name of an account", ErrRefused)
	}
	return change(ctx, conn, o, func(c *ssh.Client) error {
		in := strings.Join([]string{op, base64.StdEncoding.EncodeToString(key.Marshal()), line}, "\n") + "\n"
		r, err := run(c, as(o.Username, user, rewriting+keysScript), []byte(in))
		if err != nil {
			return err
		}
		return outcome(r)
	})
}

// outcome says what the end of a script of ours means. All of them put the new
// file in the place of the old one as their last act but one, so that whatever
// stops them earlier has changed nothing.
func outcome(r result) error {
	switch {
	case r.status == 0:
		return nil
	case r.status == unverified:
		return fmt.Errorf("%w: what was written is not what is read", ErrBroken)
	}
	reason := reasons[r.status]
	if reason == "" {
		if reason = meant(r.output, notPermitted); reason == "" {
			reason = fmt.Sprintf("the file could not be written (exit status %d)", r.status)
		}
	}
	return fmt.Errorf("%w: %s", ErrRefused, reason)
}

// Exit statuses of the scripts.
const unverified = 75

var reasons = map[int]string{
	64: "the account has no home",
	65: "not a file that can be written",
	66: "the file is too large",
	67: "owner and mode of the file could not be kept",
	68: "the value cannot stand there as the file is quoted",
	69: "the file is in a directory that others than root may change; write it as its owner",
	70: "the script was stopped",
	71: "the new file is not complete",
	72: "the name does not stand there exactly once, on one line",
	76: "there is no program that computes SHA-256",
}

// rewriting is what scripts have in common: POSIX sh, with no single quotes in
// it. What they work on comes by stdin, and only through commands that the
// shell itself runs, so that no list of processes shows it.
const rewriting = `set -efu
umask 077
LC_ALL=C
owner() {
	set -- $(ls -ldn "$1")
	printf "%s %s %s" "$1" "$3" "$4"
}
begin() {
	[ -w "$1" ] && [ -r "$1" ] || exit 65
	size=$(wc -c <"$1")
	[ "$size" -le 1048576 ] || exit 66
}
tmp=
clean() { [ -z "$tmp" ] || rm -f "$tmp"; }
trap clean EXIT
trap "exit 70" HUP INT TERM PIPE
beside() {
	tmp=$(mktemp "$1.XXXXXX")
	[ ! -e "$1" ] || cp -p "$1" "$tmp"
	[ ! -e "$1" ] || [ "$(owner "$1")" = "$(owner "$tmp")" ] || exit 67
}
replace() {
	sync "$tmp" 2>/dev/null || :
	mv -f "$tmp" "$1"
	tmp=
}
`

const keysScript = `IFS= read -r op
IFS= read -r blob
IFS= read -r new
[ -n "${HOME:-}" ] && [ -d "$HOME" ] || exit 64
file=$HOME/.ssh/authorized_keys
if [ -L "$file" ]; then file=$(readlink -f "$file"); fi
if [ -e "$file" ]; then
	[ -f "$file" ] || exit 65
	begin "$file"
else
	[ "$op" = add ] || exit 0
	mkdir -p "$HOME/.ssh"
fi
beside "$file"
seen=
if [ -e "$file" ]; then
	while IFS= read -r line || [ -n "$line" ]; do
		case $line in
		"#"*) ;;
		*"$blob"*)
			seen=1
			[ "$op" = add ] || continue
			;;
		esac
		printf "%s\n" "$line"
	done <"$file" >"$tmp"
fi
if [ "$op" = add ]; then
	[ -z "$seen" ] || exit 0
	printf "%s\n" "$new" >>"$tmp"
	[ "$(tail -n 1 "$tmp")" = "$new" ] || exit 71
else
	[ -n "$seen" ] || exit 0
fi
replace "$file"
`
