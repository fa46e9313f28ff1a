package account

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"vaultpam/internal/guess"
	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// Kind is what a credential is.
type Kind string

// The kinds. What is sealed of each is what a person who checks it out gets to
// see: a password or token as it is, a key in PEM without a passphrase. An
// ssh_certificate is the key and then the certificate's line, a tls_client the
// certificates and then the key. Of an ephemeral one nothing is kept.
const (
	Password        Kind = "password"
	SSHKey          Kind = "ssh_key"
	SSHCertificate  Kind = "ssh_certificate"
	Token           Kind = "token"
	Database        Kind = "database" // a password by which a database knows the account
	TLSClient       Kind = "tls_client"
	KubernetesToken Kind = "kubernetes_token"
	Made            Kind = "ephemeral" // made at each launch
)

// Kinds lists all of them.
var Kinds = []Kind{Password, SSHKey, SSHCertificate, Token, Database, TLSClient, KubernetesToken, Made}

// fits says which kinds can log in to resources of a type.
var fits = map[pam.Protocol][]Kind{
	pam.SSH:        {Password, SSHKey, SSHCertificate, Made},
	pam.PostgreSQL: {Password, Database, TLSClient, Made},
	pam.MySQL:      {Password, Database, TLSClient, Made},
	pam.MSSQL:      {Password, Database, Made},
	pam.MongoDB:    {Password, Database, TLSClient, Made},
	pam.Redis:      {Password, Database, TLSClient, Made},
	pam.HTTP:       {Password, Token, TLSClient},
	pam.Kubernetes: {KubernetesToken, Token, TLSClient},
	pam.RDP:        {Password},
	pam.VNC:        {Password},
	pam.LDAP:       {Password},
}

// Fits says whether a credential of the kind can log in to a resource of the
// type. An account without a resource ("") may have any.
func Fits(k Kind, at pam.Protocol) bool {
	return at == "" || slices.Contains(fits[at], k)
}

// fit refuses a kind that cannot log in at the type.
func fit(op, field string, k Kind, at pam.Protocol) error {
	if Fits(k, at) {
		return nil
	}
	return &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: field, Problem: fmt.Sprintf("does not fit a resource of the type %s: %s", at, list(fits[at]))}}}
}

// list says which kinds there are to choose from.
func list(kinds []Kind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return strings.Join(names, "")
}

// NewCredential is a secret on its way in. Whoever takes it wipes it.
type NewCredential struct {
	Kind        Kind
	Value       secret.Value // password, database, token, kubernetes_token
	PrivateKey  secret.Value // ssh_key, ssh_certificate, tls_client
	Passphrase  secret.Value // of PrivateKey, if that is encrypted
	Certificate string       // ssh_certificate: its line; tls_client: PEM, the client's first
	Ephemeral   *Ephemeral   // ephemeral
}

// Wipe overwrites the secrets.
func (c NewCredential) Wipe() { c.Value.Wipe(); c.PrivateKey.Wipe(); c.Passphrase.Wipe() }

// Public is what anybody who sees the account may know of a secret. For a
// token it is what the token says of itself, which nobody has verified.
type Public struct {
	PublicKey   string    `json:"-"`                     // ssh_key: the OpenSSH line; ssh_certificate: the certificate's; tls_client: the certificate in PEM
	Fingerprint string    `json:"fingerprint,omitempty"` // SHA256:…, of the key; of the certificate for tls_client
	Subject     string    `json:"subject,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	Serial      string    `json:"serial,omitempty"`
	Principals  []string  `json:"principals,omitempty"` // ssh_certificate: whom it logs in; empty: anybody
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"-"` // zero: it does not expire
}

// Weakness says why a credential that people could guess is weak, "" for any
// other.
func (c NewCredential) Weakness(username string) string {
	if c.Kind != Password && c.Kind != Database {
		return ""
	}
	return guess.Weakness(string(c.Value.Expose()), username)
}

// asks says which parts a kind has; a part that is not in it is refused.
type asks struct{ value, key, certificate bool }

var parts = map[Kind]asks{
	Password: {value: true}, Database: {value: true}, Token: {value: true}, KubernetesToken: {value: true},
	SSHKey: {key: true}, SSHCertificate: {key: true, certificate: true}, TLSClient: {key: true, certificate: true},
	Made: {},
}

const (
	maxPassword    = 4096
	maxToken       = 16 << 10
	maxPrivateKey  = 64 << 10
	maxPassphrase  = 1024
	maxCertificate = 64 << 10
)

// Read checks a credential at a time and returns what is sealed of it, which
// the caller wipes, and its public half. No problem quotes what was given, and
// no parser's error is passed on, since it may.
func (c NewCredential) Read(op string, now time.Time) (secret.Value, Public, error) {
	if err := c.shape(op); err != nil {
		return secret.Value{}, Public{}, err
	}
	var ps pam.Problems
	var plain secret.Value
	var public Public
	switch c.Kind {
	case Password, Database, Token:
		plain = c.Value.Clone()
	case KubernetesToken:
		plain, public = c.Value.Clone(), claims(c.Value.Expose())
	case SSHKey:
		plain, public = c.sshKey(&ps)
	case SSHCertificate:
		plain, public = c.sshCertificate(&ps)
	case TLSClient:
		plain, public = c.tlsClient(&ps)
	case Made:
		c.Ephemeral.check(&ps)
	}
	if len(ps) == 0 && !public.NotAfter.IsZero() && !public.NotAfter.After(now) {
		field := "credential.certificate"
		if c.Kind == KubernetesToken {
			field = "credential.value"
		}
		ps.Add(field, "has expired")
	}
	if err := ps.Err(op); err != nil {
		plain.Wipe()
		return secret.Value{}, Public{}, err
	}
	return plain, public, nil
}

// shape checks that each part is there if and only if the kind has it, and
// its size.
func (c NewCredential) shape(op string) error {
	var ps pam.Problems
	want, known := parts[c.Kind]
	if !known {
		ps.Add("credential.kind", "must be "+list(Kinds))
		return ps.Err(op)
	}
	part := func(field string, n, most int, wanted, required bool) {
		switch {
		case n > 0 && !wanted:
			ps.Add("credential."+field, "does not belong to the kind "+string(c.Kind))
		case n == 0 && wanted && required:
			ps.Add("credential."+field, "is required")
		case n > most:
			ps.Add("credential."+field, fmt.Sprintf("is longer than %d bytes", most))
		}
	}
	most := maxPassword
	if c.Kind == Token || c.Kind == KubernetesToken {
		most = maxToken
	}
	part("value", len(c.Value.Expose()), most, want.value, true)
	part("private_key", len(c.PrivateKey.Expose()), maxPrivateKey, want.key, true)
	part("passphrase", len(c.Passphrase.Expose()), maxPassphrase, want.key, false)
	part("certificate", len(c.Certificate), maxCertificate, want.certificate, true)
	if c.Ephemeral != nil && c.Kind != Made {
		ps.Add("credential.ephemeral", "does not belong to the kind "+string(c.Kind))
	}
	// A login prompt reads one line; what follows it would be typed into
	// whatever comes after. In a header, it would be another header.
	if slices.ContainsFunc(c.Value.Expose(), func(b byte) bool { return b == 0 || b == '\r' || b == '\n' }) {
		ps.Add("credential.value", "must be one line")
	}
	return ps.Err(op)
}
