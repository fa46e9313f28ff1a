// Package kdbx reads KeePass databases, KDBX 3.1 and 4
// (https://keepass.info/help/kb/kdbx.html).
//
// It owns the limits that keep a hostile file from costing more than a moment:
// what a key may cost, how much comes out of compression, how deep groups are.
// It must not know what entries are for. Start at [Open].
package kdbx

import (
	"bytes"
	"compress/gzip"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20"

	"vaultpam/internal/secret"
)

// Errors of Open.
var (
	ErrFormat      = errors.New("kdbx: this is not a KeePass database, or it is damaged")
	ErrUnsupported = errors.New("kdbx: not supported")
	ErrKey         = errors.New("kdbx: the password or the key file is wrong, or the file is damaged")
	ErrLimit       = errors.New("kdbx: beyond a limit")
)

const (
	// MaxFile is the largest file that Open reads.
	MaxFile = 64 << 20
	// maxXML bounds what comes out of the compression.
	maxXML       = 128 << 20
	maxHeader    = 1 << 20 // one field of the header
	signature1   = 0x9AA2D903
	signature2   = 0xB54BFB67
	gzipped      = 1
	endlessIndex = 1<<64 - 1 // the header's, among the blocks that are authenticated
)

// The fields of the outer header (the inner one counts anew).
const (
	endOfHeader     = 0
	cipherID        = 2
	compression     = 3
	masterSeed      = 4
	transformSeed   = 5
	transformRounds = 6
	encryptionIV    = 7
	streamKey       = 8
	streamStart     = 9
	streamID        = 10
	kdfParameters   = 11
)

// Entry is one entry. Whoever takes it wipes the secrets.
type Entry struct {
	Groups   []string // from the root's first group on
	Title    string
	Username string
	Password secret.Value
	URL      string
	Files    []File // what is attached
}

// File is an attachment.
type File struct {
	Name string
	Data secret.Value
}

// Wipe overwrites the secrets.
func (e Entry) Wipe() {
	e.Password.Wipe()
	for _, f := range e.Files {
		f.Data.Wipe()
	}
}

// header is the outer header.
type header struct {
	major  uint16
	fields map[byte][]byte
	raw    []byte
}

// Open reads the entries of a database, but those in the recycle bin and older
// versions of entries. The password may be empty if there is a key file, which
// is nil without one.
func Open(file []byte, password secret.Value, keyFile []byte) ([]Entry, error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("%w: the file is larger than %d MiB", ErrLimit, MaxFile>>20)
	}
	h, rest, err := readHeader(file)
	if err != nil {
		return nil, err
	}
	composite, err := compositeKey(password, keyFile)
	if err != nil {
		return nil, err
	}
	defer composite.Wipe()
	transformed, err := h.transform(composite.Expose())
	if err != nil {
		return nil, err
	}
	defer clear(transformed)
	var inner []byte
	var stream protected
	var files [][]byte
	if h.major == 3 {
		inner, stream, err = h.openV3(rest, transformed)
	} else {
		inner, stream, files, err = h.openV4(rest, transformed)
	}
	if err != nil {
		return nil, err
	}
	defer clear(inner)
	return readXML(inner, stream, files)
}

func readHeader(file []byte) (header, []byte, error) {
	h := header{fields: map[byte][]byte{}}
	if len(file) < 12 || binary.LittleEndian.Uint32(file) != signature1 || binary.LittleEndian.Uint32(file[4:]) != signature2 {
		return h, nil, ErrFormat
	}
	h.major = binary.LittleEndian.Uint16(file[10:])
	if h.major != 3 && h.major != 4 {
		return h, nil, fmt.Errorf("%w: version %d of the format", ErrUnsupported, h.major)
	}
	rest := file[12:]
	for {
		id, data, after, err := readField(rest, h.major)
		if err != nil {
			return h, nil, err
		}
		rest = after
		if id == endOfHeader {
			break
		}
		if _, twice := h.fields[id]; twice {
			return h, nil, ErrFormat
		}
		h.fields[id] = data
	}
	h.raw = file[:len(file)-len(rest)]
	return h, rest, h.check()
}

// readField reads one field of a header: its length has 2 bytes in version 3.
func readField(text []byte, major uint16) (id byte, data, rest []byte, err error) {
	size := 4
	if major == 3 {
		size = 2
	}
	if len(text) < 1+size {
		return 0, nil, nil, ErrFormat
	}
	n := uint32(binary.LittleEndian.Uint16(text[1:]))
	if major != 3 {
		n = binary.LittleEndian.Uint32(text[1:])
	}
	if uint64(n) > uint64(len(text)-1-size) {
		return 0, nil, nil, ErrFormat
	}
	return text[0], text[1+size : 1+size+int(n)], text[1+size+int(n):], nil
}

// check looks at the sizes of the fields that are used.
func (h header) check() error {
	sizes := map[byte]int{cipherID: 16, compression: 4, masterSeed: 32}
	if h.major == 3 {
		sizes[transformSeed], sizes[transformRounds], sizes[streamKey], sizes[streamStart], sizes[streamID] = 32, 8, 32, 32, 4
	}
	for id, size := range sizes {
		if len(h.fields[id]) != size {
			return ErrFormat
		}
	}
	for _, data := range h.fields {
		if len(data) > maxHeader {
			return ErrFormat
		}
	}
	if binary.LittleEndian.Uint32(h.fields[compression]) > gzipped {
		return fmt.Errorf("%w: the compression", ErrUnsupported)
	}
	return nil
}

// decrypt undoes the outer cipher.
func (h header) decrypt(key [32]byte, text []byte) ([]byte, error) {
	iv := h.fields[encryptionIV]
	switch string(h.fields[cipherID]) {
	case "\x31\xC1\xF2\xE6\xBF\x71\x43\x50\xBE\x58\x05\x21\x6A\xFC\x5A\xFF": // AES-256, CBC
		if len(iv) != aes.BlockSize || len(text) == 0 || len(text)%aes.BlockSize != 0 {
			return nil, ErrFormat
		}
		block, err := aes.NewCipher(key[:])
		if err != nil {
			return nil, err
		}
		out := make([]byte, len(text))
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, text)
		pad := int(out[len(out)-1])
		if pad == 0 || pad > aes.BlockSize || !bytes.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
			return nil, ErrKey
		}
		return out[:len(out)-pad], nil
	case "\xD6\x03\x8A\x2B\x8B\x6F\x4C\xB5\xA5\x24\x33\x9A\x31\xDB\xB5\x9A": // ChaCha20
		if len(iv) != chacha20.NonceSize {
			return nil, ErrFormat
		}
		s, err := chacha20.NewUnauthenticatedCipher(key[:], iv)
		if err != nil {
			return nil, err
		}
		out := make([]byte, len(text))
		s.XORKeyStream(out, text)
		return out, nil
	}
	return nil, fmt.Errorf("%w: the cipher (AES-256 and ChaCha20 are)", ErrUnsupported)
}

// masterKey is what the outer cipher's key is made of.
func (h header) masterKey(transformed []byte) [32]byte {
	seeded := append(bytes.Clone(h.fields[masterSeed]), transformed...)
	defer clear(seeded)
	return sha256.Sum256(seeded)
}

// openV3 decrypts, then looks whether the key was right and the blocks whole.
func (h header) openV3(text, transformed []byte) ([]byte, protected, error) {
	plain, err := h.decrypt(h.masterKey(transformed), text)
	if err != nil {
		return nil, nil, err
	}
	start := h.fields[streamStart]
	if len(plain) < len(start) || !hmac.Equal(plain[:len(start)], start) {
		return nil, nil, ErrKey
	}
	var out []byte
	rest := plain[len(start):]
	for index := uint32(0); ; index++ {
		if len(rest) < 40 || binary.LittleEndian.Uint32(rest) != index {
			return nil, nil, ErrFormat
		}
		sum, n := rest[4:36], binary.LittleEndian.Uint32(rest[36:])
		rest = rest[40:]
		if n == 0 {
			break
		}
		if uint64(n) > uint64(len(rest)) {
			return nil, nil, ErrFormat
		}
		if got := sha256.Sum256(rest[:n]); !bytes.Equal(got[:], sum) {
			return nil, nil, ErrFormat
		}
		out, rest = append(out, rest[:n]...), rest[n:]
	}
	if out, err = h.decompress(out); err != nil {
		return nil, nil, err
	}
	stream, err := newProtected(binary.LittleEndian.Uint32(h.fields[streamID]), h.fields[streamKey])
	return out, stream, err
}

// openV4 authenticates header and blocks, and decrypts only then.
func (h header) openV4(text, transformed []byte) ([]byte, protected, [][]byte, error) {
	if len(text) < 64 {
		return nil, nil, nil, ErrFormat
	}
	if sum := sha256.Sum256(h.raw); !bytes.Equal(sum[:], text[:32]) {
		return nil, nil, nil, ErrFormat
	}
	seeded := append(append(bytes.Clone(h.fields[masterSeed]), transformed...), 1)
	base := sha512.Sum512(seeded)
	clear(seeded)
	if !hmac.Equal(mac(base, endlessIndex, h.raw), text[32:64]) {
		return nil, nil, nil, ErrKey
	}
	var sealed []byte
	rest := text[64:]
	for index := uint64(0); ; index++ {
		if len(rest) < 36 {
			return nil, nil, nil, ErrFormat
		}
		sum, n := rest[:32], binary.LittleEndian.Uint32(rest[32:])
		if uint64(n) > uint64(len(rest)-36) {
			return nil, nil, nil, ErrFormat
		}
		message := binary.LittleEndian.AppendUint64(nil, index)
		if !hmac.Equal(mac(base, index, message, rest[32:36+n]), sum) {
			return nil, nil, nil, ErrFormat
		}
		if n == 0 {
			break
		}
		sealed, rest = append(sealed, rest[36:36+n]...), rest[36+n:]
	}
	plain, err := h.decrypt(h.masterKey(transformed), sealed)
	if err == nil {
		plain, err = h.decompress(plain)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	return readInner(plain)
}

// mac is the HMAC of a block, under a key of the block's own.
func mac(base [64]byte, index uint64, parts ...[]byte) []byte {
	key := sha512.Sum512(append(binary.LittleEndian.AppendUint64(nil, index), base[:]...))
	m := hmac.New(sha256.New, key[:])
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

func (h header) decompress(text []byte) ([]byte, error) {
	if binary.LittleEndian.Uint32(h.fields[compression]) != gzipped {
		return text, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, ErrFormat
	}
	out, err := io.ReadAll(io.LimitReader(r, maxXML+1))
	if err != nil {
		return nil, ErrFormat
	}
	if len(out) > maxXML {
		return nil, fmt.Errorf("%w: more than %d MiB come out of the compression", ErrLimit, maxXML>>20)
	}
	return out, nil
}

// readInner reads the header that version 4 has inside, with the attachments.
func readInner(text []byte) ([]byte, protected, [][]byte, error) {
	var id uint32
	var key []byte
	var files [][]byte
	for {
		field, data, rest, err := readField(text, 4)
		if err != nil {
			return nil, nil, nil, err
		}
		text = rest
		switch {
		case field == 0:
			stream, err := newProtected(id, key)
			return text, stream, files, err
		case field == 1 && len(data) == 4:
			id = binary.LittleEndian.Uint32(data)
		case field == 2:
			key = data
		case field == 3 && len(data) > 0:
			files = append(files, data[1:]) // the first byte says whether it is to be protected in memory
		default:
			return nil, nil, nil, ErrFormat
		}
	}
}
