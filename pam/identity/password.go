package identity

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"vaultpam/internal/guess"
	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// HashParams are the costs of argon2id (RFC 9106).
type HashParams struct {
	MemoryKiB   uint32
	Time        uint32
	Parallelism uint8
	Concurrency int // hashes at a time; 0 is the number of cores
}

// DefaultHashParams cost 19 MiB and two passes.
var DefaultHashParams = HashParams{MemoryKiB: 19 * 1024, Time: 2, Parallelism: 1}

// Limits on passwords, in characters, and on the queue of hashes.
const (
	minPassword = 12
	maxPassword = 256 // bytes
	queueLength = 256 // waiting hashes; beyond it the server says that it is busy
	saltSize    = 16
	hashSize    = 32
)

// Passwords hashes and checks passwords, a bounded number at a time, so that
// a storm of logins cannot exhaust the memory. It is safe for concurrent use.
type Passwords struct {
	params  HashParams
	rand    io.Reader
	slots   chan struct{}
	waiting atomic.Int64
	dummy   string // a hash of nobody's password, for logins of nobody
	derive  func(password, salt []byte, p HashParams, size uint32) []byte
}

func argon2id(password, salt []byte, p HashParams, size uint32) []byte {
	return argon2.IDKey(password, salt, p.Time, p.MemoryKiB, p.Parallelism, size)
}

// NewPasswords makes the pool. random is crypto/rand.Reader outside of tests.
func NewPasswords(p HashParams, random io.Reader) (*Passwords, error) {
	if p.Concurrency == 0 {
		p.Concurrency = runtime.NumCPU()
	}
	if !p.usable() {
		return nil, fmt.Errorf("argon2: %d KiB, %d passes and %d lanes are not usable", p.MemoryKiB, p.Time, p.Parallelism)
	}
	ps := &Passwords{params: p, rand: random, slots: make(chan struct{}, p.Concurrency), derive: argon2id}
	var err error
	ps.dummy, err = ps.hash([]byte("nobody's password"))
	return ps, err
}

// Check says whether a password may be chosen.
func Check(password secret.Value) (problem string) {
	p := password.Expose()
	switch {
	case !utf8.Valid(p):
		return "must be UTF-8"
	case utf8.RuneCount(p) < minPassword:
		return fmt.Sprintf("must have at least %d characters", minPassword)
	case len(p) > maxPassword:
		return fmt.Sprintf("must have at most %d bytes", maxPassword)
	case guess.Common(string(p)):
		return "is one of those that everybody tries"
	}
	return ""
}

// Hash checks and hashes a new password. field names it in a refusal.
func (ps *Passwords) Hash(ctx context.Context, op, field string, password secret.Value) (string, error) {
	if problem := Check(password); problem != "" {
		var problems pam.Problems
		problems.Add(field, problem)
		return "", problems.Err(op)
	}
	leave, err := ps.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	h, err := ps.hash(password.Expose())
	return h, pam.Wrap(op, err)
}

// Verify says whether password has the hash phc, and whether the hash should
// be made anew with today's parameters. With an empty phc it takes the same
// time and says no.
func (ps *Passwords) Verify(ctx context.Context, phc string, password secret.Value) (right, stale bool, err error) {
	nobody := phc == ""
	if nobody {
		phc = ps.dummy
	}
	params, salt, want, ok := parsePHC(phc)
	if !ok {
		return false, false, &pam.Error{Kind: pam.Internal, Op: "check password", Err: fmt.Errorf("the stored hash cannot be read")}
	}
	leave, err := ps.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	p := password.Expose()
	if len(p) > maxPassword {
		p = p[:maxPassword+1] // cannot be right, and costs no more
	}
	got := ps.derive(p, salt, params, uint32(len(want)))
	right = subtle.ConstantTimeCompare(got, want) == 1 && !nobody
	params.Concurrency = ps.params.Concurrency
	return right, right && params != ps.params, nil
}

// enter waits for a slot. When too many wait already it refuses at once.
func (ps *Passwords) enter(ctx context.Context) (leave func(), err error) {
	if ps.waiting.Add(1) > queueLength {
		ps.waiting.Add(-1)
		return nil, pam.Errorf(pam.Unavailable, "hash password", "Too many sign-ins at the moment. Try again.")
	}
	defer ps.waiting.Add(-1)
	if ctx.Err() != nil { // a free slot is not for somebody who has gone
		return nil, &pam.Error{Kind: pam.Unavailable, Op: "hash password", Err: ctx.Err()}
	}
	select {
	case ps.slots <- struct{}{}:
		return func() { <-ps.slots }, nil
	case <-ctx.Done():
		return nil, &pam.Error{Kind: pam.Unavailable, Op: "hash password", Err: ctx.Err()}
	}
}

func (ps *Passwords) hash(password []byte) (string, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(ps.rand, salt); err != nil {
		return "", err
	}
	p := ps.params
	key := ps.derive(password, salt, p, hashSize)
	return formatPHC(p, salt, key), nil
}

// Limits on a stored hash. What is kept there decides what a login costs, so
// that it is read as strictly as what comes from outside.
const (
	maxMemoryKiB = 4 << 20
	maxTime      = 1 << 10
	minSalt      = 8
	maxSalt      = 64
	minKey       = 16
	maxKey       = 64
)

// usable says whether argon2id can be computed with p, by us.
func (p HashParams) usable() bool {
	return p.Time > 0 && p.Time <= maxTime && p.Parallelism > 0 && p.MemoryKiB >= 8*uint32(p.Parallelism) && p.MemoryKiB <= maxMemoryKiB
}

// formatPHC writes a PHC string of argon2id (the PHC string format of the
// Password Hashing Competition).
func formatPHC(p HashParams, salt, key []byte) string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.MemoryKiB, p.Time, p.Parallelism, enc.EncodeToString(salt), enc.EncodeToString(key))
}

// parsePHC reads what formatPHC writes, in that one spelling.
func parsePHC(s string) (p HashParams, salt, key []byte, ok bool) {
	parts := strings.Split(s, "$")
	if len(s) > 512 || len(parts) != 6 {
		return HashParams{}, nil, nil, false
	}
	_, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.MemoryKiB, &p.Time, &p.Parallelism)
	if err == nil {
		salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	}
	if err == nil {
		key, err = base64.RawStdEncoding.DecodeString(parts[5])
	}
	if err != nil || !p.usable() || len(salt) < minSalt || len(salt) > maxSalt || len(key) < minKey || len(key) > maxKey || formatPHC(p, salt, key) != s {
		return HashParams{}, nil, nil, false
	}
	return p, salt, key, true
}
