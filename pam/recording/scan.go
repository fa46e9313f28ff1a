package recording

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"vaultpam/pam"
)

// readError is a failure of the store, as opposed to bytes that are wrong.
type readError struct{ err error }

func (e *readError) Error() string { return "read recording: " + e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// scanner reads a recording part by part and believes nothing: length, number,
// chain, encryption and order of time are checked before any frame comes out.
type scanner struct {
	r      io.ReaderAt
	size   int64
	header *fileHeader
	aead   cipher.AEAD
	zstd   *zstd.Decoder

	off    int64 // end of what was verified
	number uint64
	prev   hash
	tree   merkle
	until  uint64
	flags  byte // of the last chunk
	buf    []byte
	frames []byte
	aad    []byte
	nonce  [12]byte
}

func sum(b []byte) hash { return sha256.Sum256(b) }

// newScanner reads the header; decrypting needs unlock.
func newScanner(r io.ReaderAt, size int64) (*scanner, error) {
	s := &scanner{r: r, size: size}
	b, err := s.read(0, headerFixed)
	if err != nil {
		return nil, err
	}
	n, err := headerLen(b)
	if err != nil {
		return nil, err
	}
	if b, err = s.read(0, n); err != nil {
		return nil, err
	}
	if s.header, err = parseHeader(b); err != nil {
		return nil, err
	}
	s.prev, s.off = sum(b), int64(n)
	return s, nil
}

// unlock gives the scanner the recording's key.
func (s *scanner) unlock(key []byte) (err error) {
	if s.aead, err = newAEAD(key); err != nil {
		return err
	}
	s.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxClear))
	return err
}

func (s *scanner) close() {
	if s.zstd != nil {
		s.zstd.Close()
	}
	clear(s.frames)
}

// read returns n bytes at off, valid until the next call. What the size at
// opening does not cover is truncation, whatever was appended since.
func (s *scanner) read(off int64, n int) ([]byte, error) {
	if off+int64(n) > s.size {
		return nil, errTruncated
	}
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	b := s.buf[:n]
	if got, err := s.r.ReadAt(b, off); got < n {
		if errors.Is(err, io.EOF) {
			return nil, errTruncated
		}
		return nil, &readError{err}
	}
	return b, nil
}

// final says whether the last chunk has been read.
func (s *scanner) final() bool { return s.flags&flagFinal != 0 }

// next verifies and decrypts the next chunk and returns its frames, valid
// until the next call. After the final chunk it returns io.EOF.
func (s *scanner) next() (chunkHeader, []byte, error) {
	if s.final() {
		return chunkHeader{}, nil, io.EOF
	}
	b, err := s.read(s.off, chunkHeaderSize)
	if err != nil {
		return chunkHeader{}, nil, err
	}
	h, err := parseChunkHeader(b)
	if err != nil {
		return h, nil, err
	}
	switch {
	case h.number != s.number:
		return h, nil, fmt.Errorf("chunk %d stands where chunk %d belongs", h.number, s.number)
	case h.prev != s.prev:
		return h, nil, errors.New("the chunk does not continue the chain")
	case h.from != s.until:
		return h, nil, errors.New("the chunk does not continue in time")
	}
	if b, err = s.read(s.off, chunkHeaderSize+int(h.cipher)); err != nil {
		return h, nil, err
	}
	// The ciphertext is decrypted to another place: the hash is of its bytes.
	hashed := sum(b)
	s.aad = appendAAD(s.aad[:0], s.header.id, b)
	plain, err := s.aead.Open(s.frames[:0], h.nonce(&s.nonce), b[chunkHeaderSize:], s.aad)
	if err != nil {
		return h, nil, errors.New("the chunk was altered or belongs to another recording")
	}
	if h.flags&flagZstd != 0 {
		if cap(s.buf) < int(h.clear) {
			s.buf = make([]byte, h.clear)
		}
		unpacked, err := s.zstd.DecodeAll(plain, s.buf[:0])
		if err != nil {
			return h, nil, fmt.Errorf("the chunk cannot be decompressed: %w", err)
		}
		s.buf, plain = plain[:0:cap(plain)], unpacked
	}
	if len(plain) != int(h.clear) {
		return h, nil, errors.New("the chunk does not have the length that it says")
	}
	s.frames = plain
	s.off += int64(chunkHeaderSize) + int64(h.cipher)
	s.number++
	s.prev = hashed
	s.tree.add(hashed)
	s.until = h.until
	s.flags = h.flags
	return h, plain, nil
}

// statement is what the seal over everything scanned so far must sign.
func (s *scanner) statement() statement {
	return statement{header: s.header, chunks: int64(s.number), duration: s.until, size: s.off, end: s.prev, root: s.tree.root(), final: s.flags}
}

// seal reads and checks the seal after the final chunk. key is the
// organization's; that in the file proves nothing.
func (s *scanner) seal(key []byte) (pam.Signature, error) {
	n := s.size - s.off
	if n > sealHeaderSize+maxSealBody {
		return pam.Signature{}, errors.New("bytes follow the seal")
	}
	b, err := s.read(s.off, int(n))
	if err != nil {
		return pam.Signature{}, err
	}
	text, sig, err := parseSeal(b)
	if err != nil {
		return pam.Signature{}, err
	}
	st := s.statement()
	switch {
	case !bytes.Equal(text, st.encode()):
		return sig, errors.New("the seal is not of this content")
	case !bytes.Equal(sig.PublicKey, key):
		return sig, errors.New("the seal was not signed by the organization's key")
	case len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, text, sig.Sig):
		return sig, errors.New("the seal's signature is wrong")
	}
	return sig, nil
}

// scan opens a row's blob for scanning. The caller closes both.
func (s *Service) scan(ctx context.Context, r Recording, blob BlobReader, limit int64) (*scanner, error) {
	size, err := blob.Size()
	if err != nil {
		return nil, &readError{err}
	}
	sc, err := newScanner(blob, min(size, limit))
	if err != nil {
		return nil, err
	}
	if err := sc.belongs(r); err != nil {
		return nil, err
	}
	key, err := s.openKey(ctx, r, sc.header)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return sc, sc.unlock(key.Expose())
}

// isDamage says whether err means that bytes are wrong, rather than that they
// or the vault cannot be had at present.
func isDamage(err error) bool {
	var re *readError
	return err != nil && !errors.As(err, &re) && !pam.Is(err, pam.Sealed) && !pam.Is(err, pam.Unavailable) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
