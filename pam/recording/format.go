package recording

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"vaultpam/pam"
)

// The limits of the format. A reader refuses what is beyond them before it
// allocates.
const (
	formatVersion   = 1
	maxHeaderBody   = 4096    // bytes of the file header's body
	maxClear        = 1 << 20 // bytes of frames in a chunk
	maxCipher       = maxClear + 4096
	chunkHeaderSize = 80
	sealHeaderSize  = 8
	maxSealBody     = 4096
	tagSize         = 16
	keySize         = 32
	maxMicros       = 1 << 52         // µs since the start: 142 years, and no overflow as a time.Duration
	KeyPurpose      = "recording.key" // binds the keys of recordings
)

// Marks at the beginning of each part.
const (
	fileMagic  = "VPAMREC\n"
	chunkMagic = "VPCH"
	sealMagic  = "VPSL"
)

// Flags of a chunk.
const (
	flagFinal     = 1 << 0 // nothing but the seal follows
	flagZstd      = 1 << 1 // the clear text was compressed before encryption
	flagRecovered = 1 << 2 // written after the writer had died; only with flagFinal
	flagsKnown    = flagFinal | flagZstd | flagRecovered
)

// errTruncated says that the bytes end inside of a part.
var errTruncated = errors.New("the bytes end in the middle of a part")

// hash is a SHA-256 sum (FIPS 180-4).
type hash [sha256.Size]byte

// fileHeader is the clear beginning of a recording. Its hash begins the chain,
// so that no field of it can be changed without the chain failing.
type fileHeader struct {
	id        pam.RecordingID
	session   pam.SessionID
	org       pam.OrgID
	protocol  pam.Protocol
	started   time.Time // microseconds
	cols      uint16
	rows      uint16
	sealedKey []byte
}

// encode returns the whole header: magic, version, length of the body, body.
func (h *fileHeader) encode() ([]byte, error) {
	b := append([]byte(fileMagic), 0, formatVersion, 0, 0, 0, 0)
	for _, s := range []string{string(h.id), string(h.session), string(h.org), string(h.protocol)} {
		if len(s) > 255 {
			return nil, fmt.Errorf("a field of %d bytes does not fit into the header", len(s))
		}
		b = append(append(b, byte(len(s))), s...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(h.started.UnixMicro()))
	b = binary.BigEndian.AppendUint16(b, h.cols)
	b = binary.BigEndian.AppendUint16(b, h.rows)
	if len(h.sealedKey) > maxHeaderBody/2 {
		return nil, fmt.Errorf("a sealed key of %d bytes does not fit into the header", len(h.sealedKey))
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.sealedKey)))
	b = append(b, h.sealedKey...)
	binary.BigEndian.PutUint32(b[10:], uint32(len(b)-headerFixed))
	return b, nil
}

// headerFixed is the size of magic, version and length.
const headerFixed = 14

// headerLen reads the fixed part and returns the size of the whole header.
func headerLen(fixed []byte) (int, error) {
	if len(fixed) < headerFixed {
		return 0, errTruncated
	}
	if string(fixed[:8]) != fileMagic {
		return 0, errors.New("this is not a recording")
	}
	if v := binary.BigEndian.Uint16(fixed[8:]); v != formatVersion {
		return 0, fmt.Errorf("version %d of the format is not known", v)
	}
	n := binary.BigEndian.Uint32(fixed[10:])
	if n > maxHeaderBody {
		return 0, fmt.Errorf("a header of %d bytes is too long", n)
	}
	return headerFixed + int(n), nil
}

// parseHeader reads a whole header, which must fill b exactly.
func parseHeader(b []byte) (*fileHeader, error) {
	n, err := headerLen(b)
	if err != nil {
		return nil, err
	}
	if len(b) != n {
		return nil, errTruncated
	}
	b = b[headerFixed:]
	var s [4]string
	for i := range s {
		if len(b) < 1 || len(b) < 1+int(b[0]) {
			return nil, errors.New("a field of the header is cut")
		}
		s[i], b = string(b[1:1+b[0]]), b[1+b[0]:]
	}
	if len(b) < 14 || len(b) != 14+int(binary.BigEndian.Uint16(b[12:])) {
		return nil, errors.New("the header does not have the length that it says")
	}
	return &fileHeader{
		id: pam.RecordingID(s[0]), session: pam.SessionID(s[1]), org: pam.OrgID(s[2]), protocol: pam.Protocol(s[3]),
		started:   time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC(),
		cols:      binary.BigEndian.Uint16(b[8:]),
		rows:      binary.BigEndian.Uint16(b[10:]),
		sealedKey: slices.Clone(b[14:]),
	}, nil
}

// chunkHeader is the clear beginning of a chunk.
type chunkHeader struct {
	flags  byte
	number uint64
	clear  uint32 // bytes of frames after decompression
	cipher uint32 // bytes that follow, the tag included
	from   uint64 // µs since the start: the end of the chunk before
	until  uint64 // µs since the start: the last frame, or the moment of closing
	prev   hash   // of the chunk before; of the file header for chunk 0
}

// put writes h into the first chunkHeaderSize bytes of b.
func (h *chunkHeader) put(b []byte) {
	copy(b, chunkMagic)
	b[4] = h.flags
	b[5], b[6], b[7] = 0, 0, 0
	binary.BigEndian.PutUint64(b[8:], h.number)
	binary.BigEndian.PutUint32(b[16:], h.clear)
	binary.BigEndian.PutUint32(b[20:], h.cipher)
	binary.BigEndian.PutUint64(b[24:], h.from)
	binary.BigEndian.PutUint64(b[32:], h.until)
	copy(b[40:], h.prev[:])
	clear(b[72:chunkHeaderSize])
}

// parseChunkHeader reads what put wrote and checks every limit.
func parseChunkHeader(b []byte) (chunkHeader, error) {
	var h chunkHeader
	if len(b) < chunkHeaderSize {
		return h, errTruncated
	}
	if string(b[:4]) != chunkMagic {
		return h, errors.New("no chunk begins here")
	}
	h.flags = b[4]
	h.number = binary.BigEndian.Uint64(b[8:])
	h.clear = binary.BigEndian.Uint32(b[16:])
	h.cipher = binary.BigEndian.Uint32(b[20:])
	h.from = binary.BigEndian.Uint64(b[24:])
	h.until = binary.BigEndian.Uint64(b[32:])
	copy(h.prev[:], b[40:])
	switch {
	case h.flags&^flagsKnown != 0 || h.flags&(flagFinal|flagRecovered) == flagRecovered:
		return h, fmt.Errorf("flags %#x are not known", h.flags)
	case b[5]|b[6]|b[7] != 0 || !bytes.Equal(b[72:chunkHeaderSize], make([]byte, 8)):
		return h, errors.New("a reserved byte of the chunk's header is set")
	case h.clear > maxClear || h.cipher > maxCipher || h.cipher < tagSize:
		return h, fmt.Errorf("a chunk of %d bytes for %d is beyond the limits", h.cipher, h.clear)
	case h.flags&flagZstd == 0 && h.cipher != h.clear+tagSize:
		return h, errors.New("the chunk's lengths contradict each other")
	case h.until < h.from || h.until > maxMicros:
		return h, errors.New("the chunk's times contradict each other")
	}
	return h, nil
}

// nonce of AES-GCM (NIST SP 800-38D section 8.2.1): a fixed field and the
// chunk's number. The chunk that recovery writes has a fixed field of its own:
// its number may have been used before by a chunk that was lost half-written,
// and a nonce must never serve twice.
func (h *chunkHeader) nonce(b *[12]byte) []byte {
	*b = [12]byte{}
	if h.flags&flagRecovered != 0 {
		b[0] = 1
	}
	binary.BigEndian.PutUint64(b[4:], h.number)
	return b[:]
}

// appendAAD appends what a chunk's encryption is bound to: the recording and
// the chunk's whole header, and with it number, flags, times and chain.
func appendAAD(b []byte, id pam.RecordingID, header []byte) []byte {
	b = append(b, "vaultpam recording v1\n"...)
	b = append(b, id...)
	b = append(b, '\n')
	return append(b, header[:chunkHeaderSize]...)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("a recording's key has %d bytes, not %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// statement is what the seal signs. Every line follows from the chunks, so a
// verifier builds it anew and compares. Its first line is the domain.
type statement struct {
	header   *fileHeader
	chunks   int64
	duration uint64 // µs
	size     int64  // bytes of header and chunks
	end      hash   // of the last chunk
	root     hash   // Merkle root
	final    byte   // flags of the last chunk
}

func (s *statement) encode() []byte {
	how := "closed"
	if s.final&flagRecovered != 0 {
		how = "recovered"
	}
	return fmt.Appendf(nil, "vaultpam recording seal v1\norg %s\nrecording %s\nsession %s\nprotocol %s\nstarted %s\nchunks %d\nduration_us %d\nbytes %d\nend %x\nroot %x\nhow %s\n",
		s.header.org, s.header.id, s.header.session, s.header.protocol, s.header.started.UTC().Format("2006-01-02T15:04:05.000000Z"),
		s.chunks, s.duration, s.size, s.end, s.root, how)
}

// encodeSeal returns the last part of the file.
func encodeSeal(statement []byte, sig pam.Signature) ([]byte, error) {
	if len(sig.PublicKey) != 32 || len(sig.Sig) != 64 {
		return nil, errors.New("the signature is not an ed25519 one")
	}
	b := append([]byte(sealMagic), 0, 0, 0, 0)
	b = append(append(append(b, sig.PublicKey...), sig.Sig...), statement...)
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-sealHeaderSize))
	return b, nil
}

// parseSeal reads what encodeSeal returned; it must fill b exactly.
func parseSeal(b []byte) (statement []byte, sig pam.Signature, err error) {
	if len(b) < sealHeaderSize {
		return nil, sig, errTruncated
	}
	if string(b[:4]) != sealMagic {
		return nil, sig, errors.New("no seal follows the last chunk")
	}
	n := binary.BigEndian.Uint32(b[4:])
	if n > maxSealBody || n < 96 {
		return nil, sig, fmt.Errorf("a seal of %d bytes is not acceptable", n)
	}
	if len(b)-sealHeaderSize < int(n) {
		return nil, sig, errTruncated
	}
	if len(b)-sealHeaderSize > int(n) {
		return nil, sig, errors.New("bytes follow the seal")
	}
	b = b[sealHeaderSize:]
	return slices.Clone(b[96:]), pam.Signature{PublicKey: slices.Clone(b[:32]), Sig: slices.Clone(b[32:96])}, nil
}
