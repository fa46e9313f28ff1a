// Package kit is the sealed offline kit of a Safe: its secrets in one encrypted
// file, whose key is dealt out in shares to people.
//
// It owns the file (docs/formats/kit.md), and opens it with nothing but the
// shares: no server, no database. It must not know who may make one, and keeps
// nothing. Start at [Seal] and [Parse].
package kit

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/internal/shamir"
)

// The file, version 1: the magic line, the header as a line of JSON, and in
// base 64, in lines of 76, the nonce and the sealed body.
const (
	family = "vaultpam-kit-"
	magic  = family + "1\n"
	column = 76

	nonceSize = 12
	tagSize   = 16
)

// Limits of a kit.
const (
	MaxFile    = 16 << 20
	maxHeader  = 256 << 10
	MaxEntries = 500
	maxName    = 1024 // bytes of any name in the header or an entry
)

// Why a file is no kit, or does not open. None says anything of what is in it.
var (
	ErrFormat   = errors.New("this is not a kit: it does not begin with " + family + "1")
	ErrVersion  = errors.New("this kit is of a newer version than this program knows")
	ErrDamaged  = errors.New("this kit is damaged or cut short")
	ErrTooLarge = errors.New("a kit holds at most 500 secrets, in 16 MiB")
	ErrOther    = errors.New("this share is not of this kit")
	ErrTwice    = errors.New("this share was given already")
	ErrTooFew   = errors.New("there are fewer shares than this kit needs")
	ErrSealed   = errors.New("this kit does not open: it was altered, or a share is not what was dealt out")
)

// Header is what everybody who holds the file can read. It cannot be changed
// without the shares.
type Header struct {
	ID        string    `json:"kit_id"`
	Org       string    `json:"organization_id"`
	OrgName   string    `json:"organization"`
	Safe      string    `json:"safe_id"`
	SafeName  string    `json:"safe"`
	CreatedAt time.Time `json:"created_at"`
	Shares    int       `json:"shares"`
	Threshold int       `json:"threshold"`
	Set       string    `json:"share_set"` // of the shares that open it
	Accounts  []string  `json:"account_ids"`
}

// Resource is where a secret logs in.
type Resource struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Host string `json:"host"`
	Port int    `json:"port"`
}

// Entry is one secret of a kit.
type Entry struct {
	Account   string
	Name      string
	Username  string
	Kind      string
	Version   int64
	Resources []Resource
	Value     secret.Value
}

// entry is an Entry as the sealed body holds it.
type entry struct {
	Account   string     `json:"account_id"`
	Name      string     `json:"account"`
	Username  string     `json:"username"`
	Kind      string     `json:"kind"`
	Version   int64      `json:"version"`
	Resources []Resource `json:"resources"`
	Value     []byte     `json:"value"`
}

// Kit is a file that was read, still sealed.
type Kit struct {
	Header Header
	bound  []byte // the magic and the header, as they stand in the file
	body   []byte // nonce and what is sealed
}

// Seal makes a kit and the shares that open it. The set and the accounts of h
// are filled in. The caller wipes the entries and the shares.
func Seal(h Header, entries []Entry, random io.Reader) ([]byte, []shamir.Share, error) {
	if len(entries) > MaxEntries {
		return nil, nil, ErrTooLarge
	}
	key := make([]byte, shamir.KeySize)
	defer clear(key)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, nil, err
	}
	shares, err := shamir.Deal(key, h.Shares, h.Threshold, random)
	if err != nil {
		return nil, nil, err
	}
	file, err := h.seal(key, shares[0].Set, entries, random)
	if err != nil {
		Wipe(shares)
		return nil, nil, err
	}
	return file, shares, nil
}

// Wipe overwrites shares.
func Wipe(shares []shamir.Share) {
	for i := range shares {
		shares[i].Wipe()
	}
}

func (h Header) seal(key []byte, set shamir.Set, entries []Entry, random io.Reader) ([]byte, error) {
	h.Set, h.Accounts = hex.EncodeToString(set[:]), make([]string, len(entries))
	inside := make([]entry, len(entries))
	for i, e := range entries {
		h.Accounts[i] = e.Account
		inside[i] = entry{e.Account, e.Name, e.Username, e.Kind, e.Version, e.Resources, e.Value.Expose()}
	}
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(inside)
	defer func() { clear(plain) }()
	if err != nil {
		return nil, errors.New("kit: the secrets cannot be written down") // of err we know nothing
	}
	aead, err := cipherOf(key)
	if err != nil {
		return nil, err
	}
	bound := append(append([]byte(magic), line...), '\n')
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, err
	}
	file := write(bound, aead.Seal(nonce, nonce, plain, bound))
	if len(file) > MaxFile || len(line) > maxHeader {
		return nil, ErrTooLarge
	}
	if _, err := Parse(file); err != nil { // what nobody could read back is not handed out
		return nil, err
	}
	return file, nil
}

func cipherOf(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func write(bound, body []byte) []byte {
	text := base64.StdEncoding.EncodeToString(body)
	out := bytes.NewBuffer(make([]byte, 0, len(bound)+len(text)+len(text)/column+1))
	out.Write(bound)
	for len(text) > 0 {
		n := min(column, len(text))
		out.WriteString(text[:n])
		out.WriteByte('\n')
		text = text[n:]
	}
	return out.Bytes()
}

// Parse reads a file. It does not know whether the file was altered; Open does.
func Parse(file []byte) (Kit, error) {
	if len(file) > MaxFile {
		return Kit{}, ErrTooLarge
	}
	rest, ok := bytes.CutPrefix(file, []byte(magic))
	if !ok {
		if v, ok := bytes.CutPrefix(file, []byte(family)); ok && len(v) > 0 && v[0] >= '1' && v[0] <= '9' && !bytes.HasPrefix(v, []byte("1\r")) {
			return Kit{}, ErrVersion
		}
		return Kit{}, ErrFormat
	}
	line, text, ok := bytes.Cut(rest, []byte("\n"))
	if !ok || len(line) > maxHeader {
		return Kit{}, ErrDamaged
	}
	var h Header
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil || dec.InputOffset() != int64(len(line)) || !h.valid() {
		return Kit{}, ErrDamaged
	}
	body, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(body) < nonceSize+tagSize {
		return Kit{}, ErrDamaged
	}
	bound := file[:len(magic)+len(line)+1]
	if !bytes.Equal(write(bound, body), file) { // one content, one file
		return Kit{}, ErrDamaged
	}
	return Kit{Header: h, bound: bytes.Clone(bound), body: body}, nil
}

func (h *Header) valid() bool {
	set, err := hex.DecodeString(h.Set)
	if err != nil || len(set) != len(shamir.Set{}) || h.Threshold < 2 || h.Threshold > h.Shares || h.Shares > shamir.MaxShares || len(h.Accounts) > MaxEntries {
		return false
	}
	for _, name := range append([]string{h.ID, h.Org, h.OrgName, h.Safe, h.SafeName}, h.Accounts...) {
		if len(name) > maxName {
			return false
		}
	}
	return true
}

// Fits says why a share cannot help to open the kit beside those that were
// given, or nil. Whether its holder lies only Open finds.
func (k *Kit) Fits(given []shamir.Share, s *shamir.Share) error {
	if hex.EncodeToString(s.Set[:]) != k.Header.Set || s.Threshold != k.Header.Threshold || s.Index > k.Header.Shares {
		return ErrOther
	}
	for i := range given {
		if given[i].Equal(s) {
			return ErrTwice
		}
	}
	return nil
}

// Open opens the kit. The caller wipes the entries, and the shares.
func (k *Kit) Open(shares []shamir.Share) ([]Entry, error) {
	for i := range shares {
		if err := k.Fits(shares[:i], &shares[i]); err != nil {
			return nil, fmt.Errorf("share %d: %w", i+1, err)
		}
	}
	if len(shares) < k.Header.Threshold {
		return nil, ErrTooFew
	}
	key, err := shamir.Gather(shares)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	aead, err := cipherOf(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, k.body[:nonceSize], k.body[nonceSize:], k.bound)
	if err != nil {
		return nil, ErrSealed
	}
	defer clear(plain)
	var inside []entry
	if err := json.Unmarshal(plain, &inside); err != nil || len(inside) > MaxEntries {
		return nil, ErrDamaged // of err we know nothing: it may quote a secret
	}
	out := make([]Entry, len(inside))
	for i, e := range inside {
		out[i] = Entry{e.Account, e.Name, e.Username, e.Kind, e.Version, e.Resources, secret.New(e.Value)}
	}
	return out, nil
}
