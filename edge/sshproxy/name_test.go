package sshproxy

import (
	"strings"
	"testing"
)

func TestLoginNameIsSplitAtTheFirstPlusAfterTheFirstAt(t *testing.T) {
	for s, want := range map[string]name{
		"alice@example.com":                          {email: "alice@example.com"},
		"alice+work@example.com":                     {email: "alice+work@example.com"},
		"alice@example.com+demo":                     {email: "alice@example.com", safe: "demo"},
		"alice+work@example.com+web-1+root@db.prod":  {email: "alice+work@example.com", safe: "web-1", account: "root", resource: "db.prod"},
		"a@b+saf_01ARZ3NDEKTSV4RRFFQ69G5FAV":         {email: "a@b", safe: "saf_01ARZ3NDEKTSV4RRFFQ69G5FAV"},
		"a@b+" + strings.Repeat("s", maxSlug):        {email: "a@b", safe: strings.Repeat("s", maxSlug)},
		"jürgen@example.com+demo":                    {email: "jürgen@example.com", safe: "demo"},
		"a@b+s+acc_01ARZ3NDEKTSV4RRFFQ69G5FAV@res_0": {email: "a@b", safe: "s", account: "acc_01ARZ3NDEKTSV4RRFFQ69G5FAV", resource: "res_0"},
	} {
		got, err := parseName(s)
		if err != nil || got != want {
			t.Errorf("%q: %+v %v, want %+v", s, got, err, want)
		}
	}
}

func TestMalformedLoginNamesAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "root", "@", "@example.com", "a@", "a@+demo", "a@b+", "a@b+s+", "a@b+s+root", "a@b+s+root@", "a@b+s+@web",
		"a@b+s+root@web+more", "a@b+../../etc", "a@b+s p", "a b@c", "a\x00@b", "a@b+" + strings.Repeat("s", maxSlug+1),
		strings.Repeat("a", 300) + "@b", strings.Repeat("a", maxName) + "@b", "a@b\xff", "a@b+\x1b[2J",
	} {
		if got, err := parseName(s); err == nil {
			t.Errorf("%q was read as %+v", s, got)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"a@b", "a+c@b+s", "a@b+s+root@web", "+@+@+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseName(s)
		if err != nil {
			return
		}
		back := n.email
		if n.safe != "" {
			back += "+" + n.safe
		}
		if n.account != "" {
			back += "+" + n.account + "@" + n.resource
		}
		if back != s {
			t.Fatalf("%q came back as %q", s, back)
		}
	})
}
