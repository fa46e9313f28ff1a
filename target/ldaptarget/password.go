package ldaptarget

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"vaultpam/internal/secret"
	"vaultpam/target/peer"
)

// SetPassword logs in as o.Username and gives another password to user, a
// distinguished name; "" is o.Username. With old it is changed as by the user's
// own hand, and the directory checks old; without, as by an administrator's,
// which the directory has to permit.
func SetPassword(ctx context.Context, conn net.Conn, o Options, user string, next, old secret.Value) error {
	if user == "" {
		user = o.Username
	}
	change, err := changeOf(o, user, next, old)
	if err != nil {
		_ = conn.Close()
		return err
	}
	return with(ctx, conn, o, func(ctx context.Context, l *ldap.Conn) error {
		err := change(l)
		switch {
		case err == nil:
			return nil
		case refused(err):
			return fmt.Errorf("%w: %s", ErrRefused, code(err))
		}
		return broken(ctx, err)
	})
}

func changeOf(o Options, user string, next, old secret.Value) (func(*ldap.Conn) error, error) {
	dn, err := ldap.ParseDN(user)
	if err != nil || len(user) > maxName || len(dn.RDNs) == 0 {
		return nil, fmt.Errorf("%w: not a distinguished name", ErrRefused)
	}
	// Without a next password the directory would choose one that nobody keeps.
	if err := usable(next); err != nil {
		return nil, err
	}
	if !old.Empty() {
		if err := usable(old); err != nil {
			return nil, err
		}
	}
	switch o.Attribute {
	case "":
		return func(l *ldap.Conn) error {
			_, err := l.PasswordModify(ldap.NewPasswordModifyRequest(user, string(old.Expose()), string(next.Expose())))
			return err
		}, nil
	case UnicodePwd:
		if o.TLS.Mode == peer.Disable {
			return nil, fmt.Errorf("%w: %s is written over TLS alone", ErrRefused, UnicodePwd)
		}
		return func(l *ldap.Conn) error {
			r := ldap.NewModifyRequest(user, nil)
			if old.Empty() {
				r.Replace(UnicodePwd, []string{quoted(next)})
			} else {
				r.Delete(UnicodePwd, []string{quoted(old)})
				r.Add(UnicodePwd, []string{quoted(next)})
			}
			return l.Modify(r)
		}, nil
	}
	return nil, fmt.Errorf("%w: passwords are not changed by that attribute", ErrRefused)
}

// quoted is a password as Active Directory takes it: between quotation marks,
// of which those within need no escape, in UTF-16 with the low byte first
// (MS-ADTS 3.1.1.3.1.5).
func quoted(v secret.Value) string {
	var out []byte
	for _, u := range utf16.Encode([]rune("\"" + string(v.Expose()) + "\"")) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return string(out)
}

// usable accepts what every directory keeps as it is: text, without NUL, at
// which some of them stop reading.
func usable(v secret.Value) error {
	text := v.Expose()
	if len(text) == 0 || len(text) > maxPassword || !utf8.Valid(text) || strings.ContainsRune(string(text), 0) {
		return fmt.Errorf("%w: a password is text of 1 to %d bytes", ErrRefused, maxPassword)
	}
	return nil
}

// refusals are answers after which everything is as it was. What is not among
// them (busy, unavailable, other) may have happened or not.
var refusals = []uint16{
	ldap.LDAPResultProtocolError, ldap.LDAPResultAuthMethodNotSupported, ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultReferral,
	ldap.LDAPResultUnavailableCriticalExtension, ldap.LDAPResultConfidentialityRequired, ldap.LDAPResultNoSuchAttribute,
	ldap.LDAPResultUndefinedAttributeType, ldap.LDAPResultInappropriateMatching, ldap.LDAPResultConstraintViolation,
	ldap.LDAPResultAttributeOrValueExists, ldap.LDAPResultInvalidAttributeSyntax, ldap.LDAPResultNoSuchObject,
	ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultInvalidCredentials,
	ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultObjectClassViolation,
}

func refused(err error) bool {
	e, ok := errors.AsType[*ldap.Error](err)
	return ok && slices.Contains(refusals, e.ResultCode)
}
