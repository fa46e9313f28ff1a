package passkey_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	virtual "github.com/descope/virtualwebauthn"

	"vaultpam/internal/passkey"
)

var (
	party  = passkey.Party{Origin: "https://pam.example.com"}
	here   = virtual.RelyingParty{Name: "VaultPAM", ID: "pam.example.com", Origin: "https://pam.example.com"}
	alice  = passkey.User{Handle: []byte("usr_alice"), Name: "alice@example.com"}
	device = virtual.NewAuthenticatorWithOptions(virtual.AuthenticatorOptions{UserHandle: alice.Handle})
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// registered is a key of alice's, with its private half.
func registered(t testing.TB, kind virtual.KeyType) (passkey.Key, virtual.Credential) {
	t.Helper()
	cred := virtual.NewCredential(kind)
	challenge := passkey.Challenge("register")
	options := must[*virtual.AttestationOptions](t)(virtual.ParseAttestationOptions(string(party.CreationOptions(challenge, alice, nil))))
	k := must[passkey.Key](t)(party.Register(challenge, alice, []byte(virtual.CreateAttestationResponse(here, device, cred, *options))))
	return k, cred
}

func answer(t testing.TB, token string, rp virtual.RelyingParty, d virtual.Authenticator, cred virtual.Credential, keys ...passkey.Key) []byte {
	t.Helper()
	options := must[*virtual.AssertionOptions](t)(virtual.ParseAssertionOptions(string(party.RequestOptions(passkey.Challenge(token), keys))))
	return []byte(virtual.CreateAssertionResponse(rp, d, cred, *options))
}

func TestKeyThatWasRegisteredAnswers(t *testing.T) {
	for _, kind := range []virtual.KeyType{virtual.KeyTypeEC2, virtual.KeyTypeRSA} {
		k, cred := registered(t, kind)
		cred.Counter = 7
		id, count, err := party.Assert(passkey.Challenge("t"), alice, []passkey.Key{k}, answer(t, "t", here, device, cred, k))
		if err != nil || !bytes.Equal(id, k.ID) || count != 7 {
			t.Errorf("%v: %x %d %v", kind, id, count, err)
		}
		named, handle, err := passkey.Named(answer(t, "t", here, device, cred))
		if err != nil || !bytes.Equal(named, k.ID) || string(handle) != "usr_alice" {
			t.Errorf("named %x of %s: %v", named, handle, err)
		}
	}
}

func TestAttackAnswersThatDoNotHold(t *testing.T) {
	k, cred := registered(t, virtual.KeyTypeEC2)
	other, othersCred := registered(t, virtual.KeyTypeEC2)
	forged := cred
	forged.Key = othersCred.Key // another private key under the same id
	bob := passkey.User{Handle: []byte("usr_bob")}
	unverified, absent := device, device
	unverified.Options.UserNotVerified, absent.Options.UserNotPresent = true, true
	elsewhere, lookalike := here, here
	elsewhere.ID, lookalike.Origin = "evil.example.com", "https://pam.example.com.evil.example"
	good := answer(t, "t", here, device, cred, k)
	for name, c := range map[string]struct {
		user   passkey.User
		token  string
		keys   []passkey.Key
		answer []byte
	}{
		"to another challenge":        {alice, "another", []passkey.Key{k}, good},
		"by a key of nobody":          {alice, "t", []passkey.Key{other}, good},
		"by a key of somebody else":   {bob, "t", []passkey.Key{k}, good},
		"signed by another key":       {alice, "t", []passkey.Key{k}, answer(t, "t", here, device, forged, k)},
		"for another party":           {alice, "t", []passkey.Key{k}, answer(t, "t", elsewhere, device, cred, k)},
		"made on another page":        {alice, "t", []passkey.Key{k}, answer(t, "t", lookalike, device, cred, k)},
		"with nobody verified":        {alice, "t", []passkey.Key{k}, answer(t, "t", here, unverified, cred, k)},
		"with nobody there":           {alice, "t", []passkey.Key{k}, answer(t, "t", here, absent, cred, k)},
		"that is too long":            {alice, "t", []passkey.Key{k}, append(bytes.Clone(good), bytes.Repeat([]byte(" "), passkey.MaxAssertion)...)},
		"that is no JSON":             {alice, "t", []passkey.Key{k}, []byte("{")},
		"that is empty":               {alice, "t", []passkey.Key{k}, nil},
		"of somebody without any key": {alice, "t", nil, good},
	} {
		if _, _, err := party.Assert(passkey.Challenge(c.token), c.user, c.keys, c.answer); !errors.Is(err, passkey.ErrInvalid) {
			t.Errorf("an answer %s: %v", name, err)
		}
	}
	if _, err := party.Register(passkey.Challenge("t"), alice, good); !errors.Is(err, passkey.ErrInvalid) {
		t.Errorf("an assertion registers a key: %v", err)
	}
	options := must[*virtual.AttestationOptions](t)(virtual.ParseAttestationOptions(string(party.CreationOptions(passkey.Challenge("t"), alice, nil))))
	made := []byte(virtual.CreateAttestationResponse(here, device, virtual.NewCredential(virtual.KeyTypeEC2), *options))
	if _, err := party.Register(passkey.Challenge("u"), alice, made); !errors.Is(err, passkey.ErrInvalid) {
		t.Errorf("a key registers for another challenge: %v", err)
	}
	if _, err := (passkey.Party{Origin: "https://pam.example.org"}).Register(passkey.Challenge("t"), alice, made); !errors.Is(err, passkey.ErrInvalid) {
		t.Errorf("a key registers at another origin: %v", err)
	}
	unverifiedKey := []byte(virtual.CreateAttestationResponse(here, unverified, virtual.NewCredential(virtual.KeyTypeEC2), *options))
	if _, err := party.Register(passkey.Challenge("t"), alice, unverifiedKey); !errors.Is(err, passkey.ErrInvalid) {
		t.Errorf("a key registers with nobody verified: %v", err)
	}
}

func TestCountThatGoesBackIsACopy(t *testing.T) {
	k, cred := registered(t, virtual.KeyTypeEC2)
	k.Count, cred.Counter = 9, 9
	if _, _, err := party.Assert(passkey.Challenge("t"), alice, []passkey.Key{k}, answer(t, "t", here, device, cred, k)); !errors.Is(err, passkey.ErrCloned) {
		t.Errorf("the same count again: %v", err)
	}
	k.Count, cred.Counter = 0, 0 // one that counts nothing
	if _, _, err := party.Assert(passkey.Challenge("t"), alice, []passkey.Key{k}, answer(t, "t", here, device, cred, k)); err != nil {
		t.Errorf("a key that counts nothing: %v", err)
	}
}

func TestPartyNeedsANameAndEncryption(t *testing.T) {
	for origin, want := range map[string]bool{
		"https://pam.example.com": true, "https://pam.example.com:8443": true, "http://localhost:8080": true,
		"http://pam.example.com": false, "https://10.0.0.1": false, "http://127.0.0.1:8080": false, "https://[::1]": false, "": false,
	} {
		if got := (passkey.Party{Origin: origin}).Usable(); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
}

func TestOptionsSayNothingOfThePersonInTheHandle(t *testing.T) {
	k, _ := registered(t, virtual.KeyTypeEC2)
	text := string(party.CreationOptions(passkey.Challenge("t"), alice, []passkey.Key{k}))
	for _, want := range []string{`"userVerification":"required"`, `"attestation":"none"`, `"id":"pam.example.com"`, `"excludeCredentials":[{"type":"public-key"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	k, cred := registered(f, virtual.KeyTypeEC2)
	f.Add(answer(f, "t", here, device, cred, k))
	options := must[*virtual.AttestationOptions](f)(virtual.ParseAttestationOptions(string(party.CreationOptions(passkey.Challenge("t"), alice, nil))))
	f.Add([]byte(virtual.CreateAttestationResponse(here, device, cred, *options)))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _, _ = passkey.Named(text)
		// Whatever a stranger makes of it holds for no other challenge.
		if _, _, err := party.Assert(passkey.Challenge("never asked"), alice, []passkey.Key{k}, text); err == nil {
			t.Error("an answer to a challenge that nobody was asked holds")
		}
		if _, err := party.Register(passkey.Challenge("never asked"), alice, text); err == nil {
			t.Error("a key registers that nobody asked for")
		}
	})
}
