package identity

import (
	"context"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

const (
	maxSSHKeys = 50 // bounds what is compared at a login
	minRSA     = 2048
	maxRSA     = 16384 // as OpenSSH: each bit more costs whoever checks a signature
)

// AddSSHKey registers a public key: one line as in authorized_keys, without
// options: ed25519 and ECDSA, on a security key as well, or RSA of 2048 to
// 16384 bits.
func (s *Service) AddSSHKey(ctx context.Context, a pam.Actor, name, line string) (SSHKey, error) {
	const op = "add SSH key"
	if err := s.risky(a, op); err != nil {
		return SSHKey{}, err
	}
	if problem := nameProblem(name); problem != "" {
		return SSHKey{}, badField(op, "name", problem)
	}
	key, problem := parseKey(line)
	if problem != "" {
		return SSHKey{}, badField(op, "public_key", problem)
	}
	have, err := s.store.SSHKeysOf(ctx, a.User)
	if err != nil {
		return SSHKey{}, err
	}
	if len(have) >= maxSSHKeys {
		return SSHKey{}, pam.Errorf(pam.Conflict, op, "There are %d keys already; remove one first.", maxSSHKeys)
	}
	k := SSHKey{
		ID: pam.KeyID(s.ids.New(pam.PrefixKey)), User: a.User, Name: name, Only: a.Only, CreatedAt: s.clock.Now(),
		PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), Fingerprint: ssh.FingerprintSHA256(key),
	}
	e := s.event(a, audit.SSHKeyAdded, audit.Party{Type: "ssh_key", ID: string(k.ID), Name: name}, map[string]any{"fingerprint": k.Fingerprint})
	return k, s.store.AddSSHKey(ctx, k, e)
}

// parseKey reads one public key line.
func parseKey(line string) (key ssh.PublicKey, problem string) {
	if len(line) > 16<<10 || strings.ContainsAny(strings.TrimSpace(line), "\r\n") {
		return nil, "must be one line"
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil:
		return nil, "is not an OpenSSH public key"
	case len(options) > 0:
		return nil, "must not have options"
	}
	switch key.Type() {
	// Of a key on a security key, each signature says that somebody touched it,
	// or is refused: golang.org/x/crypto/ssh looks.
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return key, ""
	case ssh.KeyAlgoRSA:
		if bits := bitsOf(key); bits < minRSA || bits > maxRSA {
			return nil, fmt.Sprintf("RSA keys must have %d to %d bits", minRSA, maxRSA)
		}
		return key, ""
	}
	return nil, "keys of this type are not taken"
}

// bitsOf is the size of an RSA key's modulus; 0 for what cannot be one, which
// x/crypto/ssh does not look at.
func bitsOf(key ssh.PublicKey) int {
	if outer, ok := key.(ssh.CryptoPublicKey); ok {
		if inner, ok := outer.CryptoPublicKey().(*rsa.PublicKey); ok {
			if inner.N.Sign() > 0 && inner.N.Bit(0) == 1 {
				return inner.N.BitLen()
			}
		}
	}
	return 0
}

// SSHKeys lists the actor's keys.
func (s *Service) SSHKeys(ctx context.Context, a pam.Actor) ([]SSHKey, error) {
	all, err := s.store.SSHKeysOf(ctx, a.User)
	return slices.DeleteFunc(all, func(k SSHKey) bool { return !reaches(a, k.Only) }), err
}

// RemoveSSHKey removes one of the actor's keys.
func (s *Service) RemoveSSHKey(ctx context.Context, a pam.Actor, id pam.KeyID) error {
	if err := s.risky(a, "remove SSH key"); err != nil {
		return err
	}
	all, err := s.SSHKeys(ctx, a)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(k SSHKey) bool { return k.ID == id }) {
		return &pam.Error{Kind: pam.NotFound, Op: "remove SSH key"}
	}
	return s.store.RemoveSSHKey(ctx, a.User, id, s.event(a, audit.SSHKeyRemoved, audit.Party{Type: "ssh_key", ID: string(id)}, nil))
}

// KnowsKey says whether the user with this e-mail has registered key. It
// decides nothing: a client may offer any key without having it. The identity
// is what AuthenticateKey says of the key that has signed.
func (s *Service) KnowsKey(ctx context.Context, email string, key ssh.PublicKey) bool {
	_, _, ok, err := s.keyOf(ctx, email, key)
	return err == nil && ok
}

// AuthenticateKey makes the Actor for a key that has signed the handshake.
func (s *Service) AuthenticateKey(ctx context.Context, email string, key ssh.PublicKey, c Client) (pam.Actor, error) {
	u, k, ok, err := s.keyOf(ctx, email, key)
	if err != nil {
		return pam.Actor{}, err
	}
	if !ok {
		return pam.Actor{}, s.failedLogin(ctx, u, u.ID != "", c, "native key")
	}
	if k.Only == "" {
		if err := s.keyIsEnough(ctx, u, c, k); err != nil {
			return pam.Actor{}, err
		}
	}
	e := s.entryOf(u, c, audit.LoginSucceeded, map[string]any{"method": "native key", "fingerprint": k.Fingerprint})
	if k.Only != "" {
		e = audit.ForOrg(e, k.Only)
	}
	if err := s.events.Append(ctx, e.Org, e); err != nil {
		return pam.Actor{}, err
	}
	s.use(func(used *Used) { used.Keys[k.ID] = s.clock.Now() })
	return Vouched{Only: k.Only}.narrow(s.native(u, c, k.ID)), nil
}

// keyIsEnough asks for a second factor, beside the key, from whoever has one;
// and refuses who must have one and has none. A key is something that one has,
// like a factor, but anything may be done with a stolen one: so who has chosen
// to have a factor is asked for it.
func (s *Service) keyIsEnough(ctx context.Context, u User, c Client, k SSHKey) error {
	places, err := s.store.PlacesOf(ctx, u.ID)
	if err != nil {
		return err
	}
	factors, recovery, err := s.store.FactorsOf(ctx, u.ID)
	switch {
	case err != nil:
		return err
	case len(kinds(factors, recovery)) > 0:
		return &FactorNeededError{Half{user: u, places: places, like: s.native(u, c, k.ID), method: "native key", factors: kinds(factors, recovery)}}
	case demanded(u, places):
		return unenrolled()
	}
	return nil
}

func (s *Service) keyOf(ctx context.Context, email string, key ssh.PublicKey) (User, SSHKey, bool, error) {
	email, _ = naming.Email(email)
	u, err := s.store.UserByEmail(ctx, email)
	if err != nil && !pam.Is(err, pam.NotFound) {
		return User{}, SSHKey{}, false, err
	}
	// Of nobody the same is read as of somebody, so that times tell nothing.
	places, err := s.store.PlacesOf(ctx, u.ID)
	if err != nil {
		return User{}, SSHKey{}, false, err
	}
	keys, err := s.store.SSHKeysOf(ctx, u.ID)
	if err != nil {
		return User{}, SSHKey{}, false, err
	}
	fingerprint := ssh.FingerprintSHA256(key)
	i := slices.IndexFunc(keys, func(k SSHKey) bool { return k.Fingerprint == fingerprint })
	if i < 0 || u.MustChange || !admitted(u, places) {
		return u, SSHKey{}, false, nil
	}
	return u, keys[i], true, nil
}
