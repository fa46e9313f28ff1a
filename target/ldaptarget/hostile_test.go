package ldaptarget

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"vaultpam/internal/secret"
	"vaultpam/target/peer"
)

// hostile serves one connection: each message is answered by the next of the
// functions, and then it hangs up.
func hostile(t *testing.T, answers ...func(id int64) []byte) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = ours.Close()
		_ = theirs.Close()
		<-done
	})
	go func() { // ends with its connection, for which the cleanup waits
		defer close(done)
		defer theirs.Close()
		for _, a := range answers {
			p, err := ber.ReadPacket(theirs)
			if err != nil || len(p.Children) == 0 {
				return
			}
			id, _ := p.Children[0].Value.(int64)
			text := a(id)
			if text == nil { // silence
				_, _ = io.Copy(io.Discard, theirs)
				return
			}
			if _, err := theirs.Write(text); err != nil {
				return
			}
		}
	}()
	return ours
}

// says answers with a code and words.
func says(tag ber.Tag, code int64, words string) func(int64) []byte {
	return func(id int64) []byte {
		p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
		r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
		r.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
		r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
		r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, words, ""))
		p.AppendChild(r)
		return p.Bytes()
	}
}

func bytesOf(text string) func(int64) []byte { return func(int64) []byte { return []byte(text) } }

func plain(password string) Options {
	return Options{TLS: peer.TLS{Mode: peer.Disable}, Username: "cn=app,dc=example", Timeout: time.Second, Login: func(context.Context) (Credential, error) {
		return Credential{Password: secret.FromString(password)}, nil
	}}
}

// The difference decides whether a rotation believes that a password works.
func TestOnlyAClearNoIsARefusedLogin(t *testing.T) {
	ad := "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data "
	for name, c := range map[string]struct {
		answer func(int64) []byte
		want   error
	}{
		"in":                 {says(ldap.ApplicationBindResponse, 0, ""), nil},
		"wrong":              {says(ldap.ApplicationBindResponse, 49, ""), ErrAuth},
		"wrong, AD":          {says(ldap.ApplicationBindResponse, 49, ad+"52e, v3839"), ErrAuth},
		"nobody, AD":         {says(ldap.ApplicationBindResponse, 49, ad+"525, v3839"), ErrAuth},
		"locked, AD":         {says(ldap.ApplicationBindResponse, 49, ad+"775, v3839"), ErrLocked},
		"disabled, AD":       {says(ldap.ApplicationBindResponse, 49, ad+"533, v3839"), ErrLocked},
		"must change, AD":    {says(ldap.ApplicationBindResponse, 49, ad+"773, v3839"), ErrLocked},
		"locked, 389":        {says(ldap.ApplicationBindResponse, 19, "Exceed password retry limit"), ErrLocked},
		"busy":               {says(ldap.ApplicationBindResponse, 51, ""), ErrBroken},
		"unavailable":        {says(ldap.ApplicationBindResponse, 52, ""), ErrBroken},
		"unwilling":          {says(ldap.ApplicationBindResponse, 53, ""), ErrBroken},
		"other":              {says(ldap.ApplicationBindResponse, 80, ""), ErrBroken},
		"elsewhere":          {says(ldap.ApplicationBindResponse, 10, ""), ErrBroken},
		"a code of tomorrow": {says(ldap.ApplicationBindResponse, 4711, ""), ErrBroken},
		"garbage":            {bytesOf("SSH-2.0-OpenSSH_9.9\r\n"), ErrBroken},
		"an endless message": {bytesOf("\x30\x84\x7f\xff\xff\xff"), ErrBroken},
		"nested without end": {bytesOf(strings.Repeat("\x30\x80", 4096)), ErrBroken},
		"half of a message":  {bytesOf("\x30\x0c\x02\x01"), ErrBroken},
		"nothing":            {func(int64) []byte { return nil }, ErrBroken},
		"goodbye":            {bytesOf(""), ErrBroken},
	} {
		err := Check(t.Context(), hostile(t, c.answer), plain("right"))
		if !errors.Is(err, c.want) || (c.want == ErrBroken && (errors.Is(err, ErrAuth) || errors.Is(err, ErrLocked))) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestOnlyAClearNoIsARefusedChange(t *testing.T) {
	for code, want := range map[int64]error{0: nil, 19: ErrRefused, 50: ErrRefused, 53: ErrRefused, 1: ErrBroken, 51: ErrBroken, 52: ErrBroken, 80: ErrBroken, 4711: ErrBroken} {
		err := SetPassword(t.Context(), hostile(t, says(ldap.ApplicationBindResponse, 0, ""), says(ldap.ApplicationExtendedResponse, code, "canary-40aa")), plain("right"), "cn=app,dc=example", secret.FromString("canary-40aa"), secret.Value{})
		if !errors.Is(err, want) || (err != nil && strings.Contains(err.Error(), "canary")) {
			t.Errorf("%d: %v, want %v", code, err, want)
		}
	}
}

func TestCredentialIsWipedAndWhatClosesTheVaultReachesTheCaller(t *testing.T) {
	for _, code := range []int64{0, 49} {
		raw := []byte("right")
		o := plain("")
		o.Login = func(context.Context) (Credential, error) { return Credential{Password: secret.New(raw)}, nil }
		_ = Check(t.Context(), hostile(t, says(ldap.ApplicationBindResponse, code, "")), o)
		if string(raw) != "\x00\x00\x00\x00\x00" {
			t.Errorf("%d: the credential is still in memory", code)
		}
	}
	sealed := errors.New("sealed")
	o := plain("")
	o.Login = func(context.Context) (Credential, error) { return Credential{}, sealed }
	if err := Check(t.Context(), hostile(t), o); !errors.Is(err, sealed) || errors.Is(err, ErrAuth) {
		t.Errorf("%v, want %v", err, sealed)
	}
}

func FuzzQuoted(f *testing.F) {
	for _, seed := range []string{"new", "\"", "é🔑", odd} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v := secret.FromString(text)
		if usable(v) != nil {
			return
		}
		raw := quoted(v)
		var units []uint16
		for i := 0; i+1 < len(raw); i += 2 {
			units = append(units, binary.LittleEndian.Uint16([]byte(raw[i:])))
		}
		if got := string(utf16.Decode(units)); len(raw)%2 != 0 || got != "\""+text+"\"" {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

// What a directory says of a login decides what a rotation believes.
func FuzzAnswers(f *testing.F) {
	f.Add(int64(49), "AcceptSecurityContext error, data 775, v1")
	f.Add(int64(0), "")
	f.Fuzz(func(t *testing.T, code int64, words string) {
		p, err := ber.DecodePacketErr(says(ldap.ApplicationBindResponse, code, words)(1))
		if err != nil {
			return
		}
		err = ldap.GetLDAPError(p)
		if err == nil {
			if code != 0 {
				t.Fatalf("%d lets in", code)
			}
			return
		}
		if k := kind(err, nil); k == ErrAuth && code != 49 {
			t.Fatalf("%d is a clear no", code)
		}
	})
}
