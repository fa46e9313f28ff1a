package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"sync/atomic"
	"time"

	"vaultpam/pam"
)

const (
	keySize     = 32
	nonceSize   = 12
	tagSize     = 16
	wrappedSize = nonceSize + keySize + tagSize // of a key
	orgKeySize  = 1 + 4 + wrappedSize
	rootSize    = 4 + keySize // of one key in the list of root keys
)

// newGCM makes AES-256-GCM (NIST SP 800-38D) of key, which the caller clears.
func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	defer wipe(block) // the AEAD has a copy of its own
	return cipher.NewGCM(block)
}

// wipe zeroes the key schedule, which begins with the key itself and which
// crypto/cipher offers no way to clear. A wiped AEAD panics when it is used,
// so whoever wipes must hold off those who use it.
func wipe(schedule any) {
	if p := reflect.ValueOf(schedule); p.Kind() == reflect.Pointer && !p.IsNil() {
		p.Elem().SetZero()
	}
}

// appendSealed appends nonce, ciphertext and tag to dst.
func appendSealed(dst []byte, gcm cipher.AEAD, nonce, plaintext, ad []byte) []byte {
	return gcm.Seal(append(dst, nonce...), nonce, plaintext, ad)
}

// openSealed decrypts what appendSealed appended.
func openSealed(gcm cipher.AEAD, sealed, ad []byte) (plaintext []byte, ok bool) {
	if len(sealed) < nonceSize+tagSize {
		return nil, false
	}
	plaintext, err := gcm.Open(nil, sealed[:nonceSize], sealed[nonceSize:], ad)
	return plaintext, err == nil
}

// WrapWith encrypts plaintext for a RootSeal that has a key of 32 bytes: nonce,
// ciphertext and tag of AES-256-GCM. The caller clears key.
func WrapWith(key []byte, random io.Reader, plaintext, ad []byte) ([]byte, error) {
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, err
	}
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	defer wipe(gcm)
	return appendSealed(nil, gcm, nonce, plaintext, ad), nil
}

// UnwrapWith decrypts what WrapWith returned for the same key and ad.
func UnwrapWith(key, wrapped, ad []byte) (plaintext []byte, ok bool) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, false
	}
	defer wipe(gcm)
	return openSealed(gcm, wrapped, ad)
}

// ring is the versions of one key. The newest seals, all of them open.
type ring struct {
	keys   map[uint32]cipher.AEAD
	newest uint32

	// Of organization keys only: when the rows were read last, and how often
	// the newest key may still seal before more is to be reserved.
	checked time.Time
	left    atomic.Int64
}

func (r *ring) add(version uint32, key cipher.AEAD) {
	if r.keys == nil {
		r.keys = map[uint32]cipher.AEAD{}
	}
	r.keys[version] = key
	if version > r.newest {
		r.newest = version
		r.left.Store(0)
	}
}

// get returns a version, the newest one for 0, and nil if there is none.
func (r *ring) get(version uint32) (uint32, cipher.AEAD) {
	if r == nil {
		return 0, nil
	}
	if version == 0 {
		version = r.newest
	}
	return version, r.keys[version]
}

func (r *ring) wipe() {
	if r == nil {
		return
	}
	for _, key := range r.keys {
		wipe(key)
	}
	clear(r.keys)
}

// rootAD is bound to the list of root keys when the RootSeal wraps it.
var rootAD = []byte("vaultpam root keys\x01")

var errRoot = errors.New("vault: the list of root keys cannot be read")

// appendRoot adds one key to the list that the RootSeal wraps: the byte 1,
// then a uint32 version and 32 bytes for each. It is a list so that a new
// root key can be put beside the one that still wraps organization keys.
func appendRoot(list []byte, version uint32, key []byte) []byte {
	if len(list) == 0 {
		list = append(list, 1)
	}
	return append(binary.BigEndian.AppendUint32(list, version), key...)
}

func parseRoots(list []byte) (*ring, error) {
	if len(list) <= 1 || list[0] != 1 || (len(list)-1)%rootSize != 0 {
		return nil, errRoot
	}
	roots := &ring{}
	for list = list[1:]; len(list) > 0; list = list[rootSize:] {
		version := binary.BigEndian.Uint32(list)
		if version <= roots.newest { // ascending, so none is there twice
			roots.wipe()
			return nil, errRoot
		}
		key, err := newGCM(list[4:rootSize])
		if err != nil {
			roots.wipe()
			return nil, err
		}
		roots.add(version, key)
	}
	return roots, nil
}

// orgKeyAD binds a wrapped organization key to its place: a row copied to
// another organization, or an old one under a new number, does not open.
func orgKeyAD(org pam.OrgID, version, rootVersion uint32) []byte {
	ad := append([]byte("vaultpam organization key"), 1)
	ad = binary.BigEndian.AppendUint32(ad, rootVersion)
	ad = binary.BigEndian.AppendUint32(ad, version)
	return append(ad, org...)
}

// newOrgKey makes a key and returns it wrapped: the byte 1, the version of
// the root key, nonce, key and tag.
func newOrgKey(roots *ring, random io.Reader, org pam.OrgID, version uint32) ([]byte, error) {
	fresh := make([]byte, keySize+nonceSize)
	defer clear(fresh)
	if _, err := io.ReadFull(random, fresh); err != nil {
		return nil, err
	}
	return wrapOrgKey(roots, org, version, fresh[:keySize], fresh[keySize:]), nil
}

// wrapOrgKey wraps with the newest root key.
func wrapOrgKey(roots *ring, org pam.OrgID, version uint32, key, nonce []byte) []byte {
	rootVersion, root := roots.get(0)
	out := make([]byte, 0, orgKeySize)
	out = binary.BigEndian.AppendUint32(append(out, 1), rootVersion)
	return appendSealed(out, root, nonce, key, orgKeyAD(org, version, rootVersion))
}

// Why an organization key does not open.
var (
	ErrKeyFormat = errors.New("vault: the wrapped organization key is of an unknown version or length")
	ErrKeyRoot   = errors.New("vault: the root key that the organization key names does not exist")
	ErrKeyMoved  = errors.New("vault: the organization key was altered, or moved from another organization, version or vault")
)

func openOrgKey(roots *ring, org pam.OrgID, version uint32, wrapped []byte) (cipher.AEAD, error) {
	key, err := unwrapOrgKey(roots, org, version, wrapped)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return newGCM(key)
}

// unwrapOrgKey returns the key itself, which the caller clears.
func unwrapOrgKey(roots *ring, org pam.OrgID, version uint32, wrapped []byte) ([]byte, error) {
	if version == 0 || len(wrapped) != orgKeySize || wrapped[0] != 1 {
		return nil, ErrKeyFormat
	}
	rootVersion := binary.BigEndian.Uint32(wrapped[1:])
	_, root := roots.get(rootVersion)
	if rootVersion == 0 || root == nil {
		return nil, ErrKeyRoot
	}
	key, ok := openSealed(root, wrapped[headerSize:], orgKeyAD(org, version, rootVersion))
	if !ok {
		return nil, ErrKeyMoved
	}
	return key, nil
}
