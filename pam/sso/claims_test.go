package sso

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"vaultpam/pam"
)

func TestAnAddressCountsWhereTheProviderSaysThatItIsVerified(t *testing.T) {
	for text, want := range map[string]string{
		`{"email":"Alice@Corp.Test","email_verified":true}`:      "alice@corp.test",
		`{"email":"alice@corp.test","email_verified":"true"}`:    "alice@corp.test",
		`{"email":"alice@corp.test","xms_edov":1}`:               "alice@corp.test",
		`{"email":"alice@corp.test","xms_edov":"1"}`:             "alice@corp.test",
		`{"email":"alice@corp.test"}`:                            "",
		`{"email":"alice@corp.test","email_verified":false}`:     "",
		`{"email":"alice@corp.test","email_verified":"yes"}`:     "",
		`{"email":"alice@corp.test","email_verified":[true]}`:    "",
		`{"email":"alice@corp.test.evil","email_verified":true}`: "",
		`{"email":"alice@corp.test@evil","email_verified":true}`: "",
		`{"email":["alice@corp.test"],"email_verified":true}`:    "",
		`{"email":"","email_verified":true}`:                     "",
	} {
		var c Claims
		if err := json.Unmarshal([]byte(text), &c.All); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.email([]string{"corp.test"}); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", text, got, ok)
		}
	}
}

func TestRulesMeetTextsAlone(t *testing.T) {
	rules := []Rule{{Value: "a", Role: pam.Admin}, {Value: "b"}, {Value: "a"}}
	for text, want := range map[string][]int{
		`["a"]`: {0, 2}, `"b"`: {1}, `["b","a","x"]`: {0, 1, 2}, `[["a"]]`: nil, `{"a":true}`: nil, `null`: nil, `[1,true]`: nil, `"A"`: nil,
	} {
		w := newcomer{p: Provider{Settings: Settings{GroupClaim: "groups", Rules: rules}}}
		if err := json.Unmarshal([]byte(`{"groups":`+text+`}`), &w.claims.All); err != nil {
			t.Fatal(err)
		}
		matched, roles := w.matched()
		var got []int
		for i, r := range rules {
			if slices.ContainsFunc(matched, func(m Rule) bool { return m.Value == r.Value && m.Role == r.Role }) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, want) || !roles {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// Whatever a provider sends, what is made of it can be kept and shown.
func FuzzClaims(f *testing.F) {
	f.Add(`{"email":"a@b.test","email_verified":true,"name":"A","amr":["mfa"],"auth_time":1e9,"groups":["x"]}`)
	f.Add(`{"email":1,"name":{},"amr":"otp","auth_time":-1,"groups":{"x":[]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var c Claims
		if json.Unmarshal([]byte(text), &c.All) != nil {
			return
		}
		now := time.Unix(2e9, 0)
		if at := authenticatedAt(c, now); at != nil && at.After(now) {
			t.Errorf("authenticated in the future: %v", at)
		}
		email, ok := c.email(nil)
		if name := c.name("somebody@b.test"); name == "" || len(name) > 256 {
			t.Errorf("name %q", name)
		}
		if ok && email == "" {
			t.Error("no address is an address")
		}
		_ = c.secondFactor()
		w := newcomer{p: Provider{Settings: Settings{GroupClaim: "groups", Rules: []Rule{{Value: "x"}}}}, claims: c}
		_, _ = w.matched()
		_ = WorkloadRule{WorkloadSettings: WorkloadSettings{Conditions: []Condition{{Claim: "groups", Value: "x"}}}}.meets(c)
		_, _ = issuerOf(text)
	})
}
