package sshca

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/clock"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Deps is what a Service works with.
type Deps struct {
	Store  Store
	Sealer pam.Sealer
	Scribe *audit.Scribe
	Clock  clock.Clock
	Rand   io.Reader
	// Sources are the networks from which certificates log in, as targets see
	// them; empty: any.
	Sources []string
	// Format writes a list of what is revoked as sshd reads it.
	Format func(Revoked) []byte
}

// Service signs certificates. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service { return &Service{Deps: d} }

// party is an organization's authority in the audit log.
func party(org pam.OrgID) audit.Party {
	return audit.Party{Type: "ssh_ca", ID: string(org), Name: "SSH user CA"}
}

// Authorities lists those that targets have to trust, the oldest first. The first
// is made when somebody who may manage them looks.
func (s *Service) Authorities(ctx context.Context, a pam.Actor) ([]Authority, error) {
	const op = "list SSH authorities"
	if !policy.Allowed(policy.SSHCASee, policy.Of(a, "")) {
		return nil, &pam.Error{Kind: pam.Denied, Op: op}
	}
	all, err := s.Store.SSHAuthorities(ctx, a.Org)
	if err == nil && len(all) == 0 && policy.Allowed(policy.SSHCAManage, policy.Of(a, "")) {
		all, err = s.first(ctx, a)
	}
	return s.shown(all), pam.Wrap(op, err)
}

func (s *Service) shown(all []SealedAuthority) []Authority {
	out := make([]Authority, 0, len(all))
	active := signing(all, s.Clock.Now())
	for _, a := range all {
		a.Active = active != nil && a.Number == active.Number
		out = append(out, a.Authority)
	}
	return out
}

// signing is the newest whose time has come; the first signs in any case.
func signing(all []SealedAuthority, now time.Time) *SealedAuthority {
	for i := len(all) - 1; i >= 0; i-- {
		if i == 0 || !all[i].ActiveFrom.After(now) {
			return &all[i]
		}
	}
	return nil
}

// first makes an organization's first authority, or finds that another did.
func (s *Service) first(ctx context.Context, a pam.Actor) ([]SealedAuthority, error) {
	if err := s.add(ctx, a, 1, s.Clock.Now()); err != nil && !pam.Is(err, pam.Conflict) {
		return nil, err
	}
	return s.Store.SSHAuthorities(ctx, a.Org)
}

func (s *Service) add(ctx context.Context, a pam.Actor, number int64, from time.Time) error {
	public, private, err := ed25519.GenerateKey(s.Rand)
	if err != nil {
		return err
	}
	defer clear(private)
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return err
	}
	sealed, err := s.Sealer.Seal(ctx, binding(a.Org, number), private.Seed())
	if err != nil {
		return err
	}
	line := fmt.Sprintf("%s vaultpam-ca-%d", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), number)
	e := s.Scribe.Entry(a, audit.SSHCACreated, party(a.Org), map[string]any{"number": number, "public_key": line, "active_from": from.Format(time.RFC3339)})
	return s.Store.AddSSHAuthority(ctx, a.Org, SealedAuthority{
		Authority: Authority{Number: number, PublicKey: line, ActiveFrom: from, CreatedAt: s.Clock.Now()}, Sealed: sealed,
	}, e)
}

func binding(org pam.OrgID, number int64) pam.Binding {
	return pam.Binding{Org: org, Purpose: Purpose, Object: string(org), Version: number}
}

// manage is the right to change authorities.
func (s *Service) manage(op string, a pam.Actor) error {
	if !policy.Allowed(policy.SSHCAManage, policy.Of(a, "")) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	if !a.Fresh(s.Clock.Now()) {
		return &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	return nil
}

// Rotate makes another authority, which signs after a while (0: at once), so that
// targets have time to learn of it. Those before stay trusted until they are
// removed.
func (s *Service) Rotate(ctx context.Context, a pam.Actor, after time.Duration) ([]Authority, error) {
	const op = "rotate SSH authority"
	if err := s.manage(op, a); err != nil {
		return nil, err
	}
	if after < 0 || after > maxActivation {
		return nil, &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "activate_after_seconds", Problem: fmt.Sprintf("must be from 0 to %d", int(maxActivation.Seconds()))}}}
	}
	all, err := s.Store.SSHAuthorities(ctx, a.Org)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	if len(all) >= maxAuthority {
		return nil, pam.Errorf(pam.Conflict, op, "There are %d SSH authorities already. Remove those that no target trusts any more.", len(all))
	}
	next := int64(1)
	if len(all) > 0 {
		next = all[len(all)-1].Number + 1
	}
	if err := s.add(ctx, a, next, s.Clock.Now().Add(after)); err != nil {
		return nil, pam.Wrap(op, err)
	}
	all, err = s.Store.SSHAuthorities(ctx, a.Org)
	return s.shown(all), pam.Wrap(op, err)
}

// Remove forgets an authority that does not sign any more, with its key.
func (s *Service) Remove(ctx context.Context, a pam.Actor, number int64) error {
	const op = "remove SSH authority"
	if err := s.manage(op, a); err != nil {
		return err
	}
	all, err := s.Store.SSHAuthorities(ctx, a.Org)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if active := signing(all, s.Clock.Now()); active != nil && active.Number == number {
		return pam.Errorf(pam.Conflict, op, "This SSH authority is the one that signs. Rotate first.")
	}
	e := s.Scribe.Entry(a, audit.SSHCARemoved, party(a.Org), map[string]any{"number": number})
	return pam.Wrap(op, s.Store.RemoveSSHAuthority(ctx, a.Org, number, e))
}

// Issue makes a key and a certificate for it. Its event is durable when it
// returns. The key is kept nowhere; the caller wipes it.
func (s *Service) Issue(ctx context.Context, a pam.Actor, w Want) (key secret.Value, certificate string, err error) {
	const op = "issue SSH certificate"
	if len(w.Principals) == 0 || slices.Contains(w.Principals, "") {
		return key, "", pam.Errorf(pam.Conflict, op, "The account has no login name.") // without principals it would log in anybody
	}
	all, err := s.Store.SSHAuthorities(ctx, a.Org)
	if err == nil && len(all) == 0 {
		all, err = s.first(ctx, pam.Actor{Org: a.Org, Token: pam.SystemToken})
	}
	if err != nil {
		return key, "", pam.Wrap(op, err)
	}
	now := s.Clock.Now()
	ca := signing(all, now)
	if ca == nil {
		return key, "", &pam.Error{Kind: pam.Unavailable, Op: op}
	}
	ttl := min(w.TTL, MaxTTL)
	if ttl <= 0 {
		ttl = DefaultTTL
	}
	var number [8]byte
	if _, err := io.ReadFull(s.Rand, number[:]); err != nil {
		return key, "", pam.Wrap(op, err)
	}
	serial := int64(binary.BigEndian.Uint64(number[:])>>1) | 1<<32 // 63 bits, since databases have signs, and never 0
	c := ssh.Certificate{
		Serial: uint64(serial), CertType: ssh.UserCert, KeyId: keyID(w.Session, a), ValidPrincipals: w.Principals,
		ValidAfter: uint64(now.Add(-skew).Unix()), ValidBefore: uint64(now.Add(ttl).Unix()),
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}},
	}
	if w.PortForwarding {
		c.Extensions["permit-port-forwarding"] = ""
	}
	if w.AgentForwarding {
		c.Extensions["permit-agent-forwarding"] = ""
	}
	if len(s.Sources) > 0 {
		c.CriticalOptions = map[string]string{"source-address": strings.Join(s.Sources, ",")}
	}
	m := map[string]any{}
	for k, v := range w.Metadata {
		m[k] = v
	}
	m["serial"], m["principals"], m["valid_after"], m["valid_before"] = fmt.Sprint(serial), w.Principals, now.Add(-skew).Format(time.RFC3339), now.Add(ttl).Format(time.RFC3339)
	m["kind"], m["ssh_ca"], m["key_id"] = "ephemeral", ca.Number, c.KeyId
	e := s.Scribe.Entry(a, audit.CredentialIssued, w.Target, m)
	if err := s.Store.AddSSHCertificate(ctx, a.Org, Certificate{Serial: serial, Authority: ca.Number, Session: w.Session, Account: w.Account, ExpiresAt: now.Add(ttl)}, now, e); err != nil {
		return key, "", pam.Wrap(op, err)
	}
	seed, err := s.Sealer.Open(ctx, binding(a.Org, ca.Number), ca.Sealed)
	if err != nil {
		return key, "", pam.Wrap(op, err)
	}
	defer seed.Wipe()
	key, err = s.sign(&c, seed)
	if err != nil {
		return secret.Value{}, "", pam.Wrap(op, err)
	}
	return key, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(&c))), nil
}

// sign puts a new key into c and signs it.
func (s *Service) sign(c *ssh.Certificate, seed secret.Value) (secret.Value, error) {
	if len(seed.Expose()) != ed25519.SeedSize {
		return secret.Value{}, fmt.Errorf("the key of the SSH authority is damaged")
	}
	authority := ed25519.NewKeyFromSeed(seed.Expose())
	defer clear(authority)
	signer, err := ssh.NewSignerFromKey(authority)
	if err != nil {
		return secret.Value{}, err
	}
	public, private, err := ed25519.GenerateKey(s.Rand)
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(private)
	if c.Key, err = ssh.NewPublicKey(public); err != nil {
		return secret.Value{}, err
	}
	if err := c.SignCert(s.Rand, signer); err != nil {
		return secret.Value{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(block.Bytes)
	return secret.New(pem.EncodeToMemory(block)), nil
}

// keyID is what the target's log says of a login.
func keyID(id pam.SessionID, a pam.Actor) string {
	what := "check"
	if id != "" {
		what = string(id)
	}
	return what + " " + string(a.User)
}

// Revocations is the list of certificates that are not to be believed though
// they have not expired: of sessions that are over. Anybody may read it, for it
// holds numbers alone; who knows the organization's id gets it.
func (s *Service) Revocations(ctx context.Context, org pam.OrgID) ([]byte, error) {
	const op = "list revoked SSH certificates"
	known, err := s.Store.HasOrganization(ctx, org)
	if err != nil || !known {
		if err == nil {
			err = &pam.Error{Kind: pam.NotFound}
		}
		return nil, pam.Wrap(op, err)
	}
	all, err := s.Store.SSHAuthorities(ctx, org)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	now := s.Clock.Now()
	ended, err := s.Store.EndedSSHCertificates(ctx, org, now, maxRevoked+1)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	if len(ended) > maxRevoked { // a list that leaves some out would be believed
		return nil, pam.Errorf(pam.Unavailable, op, "More than %d certificates are revoked.", maxRevoked)
	}
	out := Revoked{Organization: org, At: now}
	for _, a := range all {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(a.PublicKey))
		if err != nil {
			return nil, pam.Wrap(op, err)
		}
		by := RevokedBy{PublicKey: key.Marshal()}
		for _, c := range ended {
			if c.Authority == a.Number {
				by.Serials = append(by.Serials, uint64(c.Serial))
			}
		}
		out.Authorities = append(out.Authorities, by)
	}
	return s.Format(out), nil
}

// PublicKeys are the lines of TrustedUserCAKeys, for targets to fetch.
func PublicKeys(all []Authority) string {
	var b strings.Builder
	for _, a := range all {
		b.WriteString(a.PublicKey + "\n")
	}
	return b.String()
}
