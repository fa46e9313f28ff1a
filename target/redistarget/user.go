package redistarget

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"vaultpam/internal/secret"
	"vaultpam/wire/resp"
)

// SetPassword logs in as o.Username, which may be user or somebody with more
// rights, and gives user another password. With old, that one password is taken
// away and others of the user stay; it must be one of them. Without, next is
// the only one afterwards.
//
// The change is kept by the server in the file in which it keeps its users, so
// that a restart does not bring the old password back; where that cannot be, it
// is taken back and refused.
func SetPassword(ctx context.Context, conn net.Conn, o Options, user string, next, old secret.Value) error {
	if user == "" {
		user = DefaultUser
	}
	if err := errors.Join(name(user), usable(next)); err != nil {
		_ = conn.Close()
		return err
	}
	return with(ctx, conn, o, func(s *session) error {
		before, found, err := s.user(user)
		switch {
		case err != nil:
			return err
		case !found: // the server would make one
			return fmt.Errorf("%w: there is no such user", ErrRefused)
		}
		change := []string{"resetpass", "#" + hash(next)}
		if !old.Empty() {
			if !slices.Contains(before.hashes, hash(old)) {
				return fmt.Errorf("%w: the old password is not one of the user's", ErrRefused)
			}
			change = []string{"#" + hash(next)}
			if !next.Equal(old) {
				change = append(change, "!"+hash(old))
			}
		}
		// One command: the server applies all of it or nothing.
		if err := s.order(append([]string{"ACL", "SETUSER", user}, change...)...); err != nil {
			return err
		}
		err = s.save()
		if err == nil || !errors.Is(err, ErrRefused) {
			return err
		}
		if undone := s.order(append([]string{"ACL", "SETUSER", user}, before.modifiers()...)...); undone != nil {
			return fmt.Errorf("%w: the password was changed, is not kept, and could not be changed back", ErrBroken)
		}
		return err
	})
}

// CreateUser makes a user with these rules, which say what the user may do and
// nothing about passwords. It is in the server's memory alone: a restart ends
// it, and so does DropUser. A user that exists is refused.
func CreateUser(ctx context.Context, conn net.Conn, o Options, user string, rules []string, next secret.Value) error {
	if err := errors.Join(own(user), usable(next), allowed(rules)); err != nil {
		_ = conn.Close()
		return err
	}
	return with(ctx, conn, o, func(s *session) error {
		switch _, found, err := s.user(user); {
		case err != nil:
			return err
		case found:
			return fmt.Errorf("%w: there is such a user already", ErrRefused)
		}
		// What is said last holds: no rule gives the user another password.
		args := append([]string{"ACL", "SETUSER", user, "reset"}, rules...)
		return s.order(append(args, "resetpass", "#"+hash(next), "on")...)
	})
}

// DropUser removes a user, which ends its connections. One that is not there is
// no error.
func DropUser(ctx context.Context, conn net.Conn, o Options, user string) error {
	if err := own(user); err != nil {
		_ = conn.Close()
		return err
	}
	return with(ctx, conn, o, func(s *session) error {
		v, err := s.ask("ACL", "DELUSER", user)
		switch {
		case err != nil:
			return err
		case v.Kind != resp.Integer:
			return fmt.Errorf("%w: ACL DELUSER was not answered", ErrBroken)
		}
		// Somebody else may have had the server write its users meanwhile. Where
		// there is no file, a restart forgets the user by itself.
		if err := s.save(); err != nil && !errors.Is(err, errNoFile) {
			return err
		}
		return nil
	})
}

// List returns the users whose names begin with prefix.
func List(ctx context.Context, conn net.Conn, o Options, prefix string) ([]string, error) {
	var out []string
	err := with(ctx, conn, o, func(s *session) error {
		v, err := s.ask("ACL", "USERS")
		if err != nil {
			return err
		}
		if v.Kind != resp.Array && v.Kind != resp.Set {
			return fmt.Errorf("%w: ACL USERS was not answered", ErrBroken)
		}
		for _, item := range v.Items {
			if n := string(item.Text); item.Kind == resp.Bulk && strings.HasPrefix(n, prefix) && name(n) == nil {
				out = append(out, n)
			}
		}
		return nil
	})
	return out, err
}

// errNoFile says that a server keeps its users nowhere.
var errNoFile = fmt.Errorf("%w: it has no file to keep users in", ErrRefused)

// save has the server write its users to its file, whichever that is.
func (s *session) save() error {
	err := s.order("ACL", "SAVE")
	r, isRefusal := errors.AsType[*refusal](err)
	if !isRefusal || !strings.Contains(r.text, "not configured to use an ACL file") {
		return err
	}
	err = s.order("CONFIG", "REWRITE")
	if r, ok := errors.AsType[*refusal](err); ok && strings.Contains(r.text, "running without a config file") {
		return errNoFile
	}
	return err
}

// state is how a user logs in.
type state struct {
	hashes []string
	nopass bool
}

func (s state) modifiers() []string {
	out := []string{"resetpass"}
	if s.nopass {
		out = append(out, "nopass")
	}
	for _, h := range s.hashes {
		out = append(out, "#"+h)
	}
	return out
}

var hashed = regexp.MustCompile(`^[0-9a-f]{64}$`)

// user reads how a user logs in, from an array of names and values in turn.
func (s *session) user(user string) (state, bool, error) {
	v, err := s.ask("ACL", "GETUSER", user)
	if err != nil || v.Kind == resp.Null {
		return state{}, false, err
	}
	var out state
	seen := 0
	for i := 0; i+1 < len(v.Items); i += 2 {
		switch string(v.Items[i].Text) {
		case "flags":
			seen++
			out.nopass = slices.ContainsFunc(v.Items[i+1].Items, func(f resp.Value) bool { return string(f.Text) == "nopass" })
		case "passwords":
			seen++
			for _, p := range v.Items[i+1].Items {
				if !hashed.Match(p.Text) {
					return state{}, false, fmt.Errorf("%w: ACL GETUSER was not answered", ErrBroken)
				}
				out.hashes = append(out.hashes, string(p.Text))
			}
		}
	}
	if seen != 2 {
		return state{}, false, fmt.Errorf("%w: ACL GETUSER was not answered", ErrBroken)
	}
	return out, true, nil
}

func hash(v secret.Value) string {
	sum := sha256.Sum256(v.Expose())
	return hex.EncodeToString(sum[:])
}

func usable(next secret.Value) error {
	if next.Empty() || len(next.Expose()) > maxPassword {
		return fmt.Errorf("%w: a password has 1 to %d bytes", ErrRefused, maxPassword)
	}
	return nil
}

// own is a name that may be made and dropped: never the default user.
func own(user string) error {
	if user == "" || strings.EqualFold(user, DefaultUser) {
		return fmt.Errorf("%w: not a name of a user of its own", ErrRefused)
	}
	return name(user)
}

var rule = regexp.MustCompile(`^(?:[+-]@?[A-Za-z0-9_.|-]+|(?:~|&|%[RWrw]{1,2}~)[!-~]*|allkeys|resetkeys|allchannels|resetchannels|allcommands|nocommands)$`)

// allowed refuses rules that are not about commands, keys or channels: those
// about passwords are not for templates to say.
func allowed(rules []string) error {
	if len(rules) > maxRules {
		return fmt.Errorf("%w: more than %d rules", ErrRefused, maxRules)
	}
	for _, r := range rules {
		if len(r) > maxRule || !rule.MatchString(r) {
			return fmt.Errorf("%w: a rule is not one about commands, keys or channels", ErrRefused)
		}
	}
	return nil
}
