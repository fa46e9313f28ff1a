package kdbx

import (
	"encoding/binary"
	"math/bits"

	"golang.org/x/crypto/blake2b"
)

// Argon2d, version 0x13, as RFC 9106 has it: golang.org/x/crypto/argon2 has
// Argon2i and Argon2id only, and KeePass makes databases with Argon2d unless it
// is told otherwise. It opens what others have locked and protects nothing of
// ours: were it wrong, the file would not open.

const (
	quarters   = 4
	blockWords = 128
	blockBytes = 8 * blockWords
)

type block [blockWords]uint64

// argon2d is the tag of so many bytes. memory is in KiB.
func argon2d(password, salt, key, data []byte, passes, memory, lanes, size uint32) []byte {
	h0 := initial(password, salt, key, data, passes, memory, lanes, size)
	segment := memory / (quarters * lanes)
	lane := quarters * segment
	b := make([]block, lane*lanes)
	defer clear(b)
	for l := range lanes {
		for i := range uint32(2) {
			seed := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(h0[:], i), l)
			b[l*lane+i].read(longHash(seed, blockBytes))
		}
	}
	for pass := range passes {
		for slice := range uint32(quarters) {
			for l := range lanes {
				fill(b, pass, slice, l, segment, lane, lanes)
			}
		}
	}
	last := b[lane-1]
	for l := uint32(1); l < lanes; l++ {
		for i, w := range b[l*lane+lane-1] {
			last[i] ^= w
		}
	}
	return longHash(last.bytes(), size)
}

// initial is H0 of section 3.2.
func initial(password, salt, key, data []byte, passes, memory, lanes, size uint32) []byte {
	var in []byte
	for _, n := range []uint32{lanes, size, memory, passes, 0x13, 0} {
		in = binary.LittleEndian.AppendUint32(in, n)
	}
	for _, part := range [][]byte{password, salt, key, data} {
		in = append(binary.LittleEndian.AppendUint32(in, uint32(len(part))), part...)
	}
	defer clear(in)
	sum := blake2b.Sum512(in)
	return sum[:]
}

// fill makes one segment of a lane (section 3.4).
func fill(b []block, pass, slice, l, segment, lane, lanes uint32) {
	first := uint32(0)
	if pass == 0 && slice == 0 {
		first = 2
	}
	for i := first; i < segment; i++ {
		at := slice*segment + i
		before := (at + lane - 1) % lane
		word := b[l*lane+before][0]
		other := uint32(word>>32) % lanes
		if pass == 0 && slice == 0 {
			other = l
		}
		// How many blocks may be referred to, and where they begin.
		area, start := slice*segment, uint32(0)
		if pass > 0 {
			area, start = lane-segment, (slice+1)%quarters*segment
		}
		if other == l {
			area += i - 1
		} else if i == 0 {
			area--
		}
		x := uint64(uint32(word))
		x = x * x >> 32
		ref := (start + area - 1 - uint32(uint64(area)*x>>32)) % lane
		mix(&b[l*lane+at], &b[l*lane+before], &b[other*lane+ref], pass > 0)
	}
}

// mix is G of section 3.5; over xors it onto what is there.
func mix(out, x, y *block, over bool) {
	var r block
	for i := range r {
		r[i] = x[i] ^ y[i]
	}
	q := r
	for i := 0; i < blockWords; i += 16 {
		permute(&q[i], &q[i+1], &q[i+2], &q[i+3], &q[i+4], &q[i+5], &q[i+6], &q[i+7], &q[i+8], &q[i+9], &q[i+10], &q[i+11], &q[i+12], &q[i+13], &q[i+14], &q[i+15])
	}
	for i := 0; i < 16; i += 2 {
		permute(&q[i], &q[i+1], &q[i+16], &q[i+17], &q[i+32], &q[i+33], &q[i+48], &q[i+49], &q[i+64], &q[i+65], &q[i+80], &q[i+81], &q[i+96], &q[i+97], &q[i+112], &q[i+113])
	}
	for i := range q {
		q[i] ^= r[i]
		if over {
			q[i] ^= out[i]
		}
	}
	*out = q
}

// permute is P of section 3.6.
func permute(v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15 *uint64) {
	blamka(v0, v4, v8, v12)
	blamka(v1, v5, v9, v13)
	blamka(v2, v6, v10, v14)
	blamka(v3, v7, v11, v15)
	blamka(v0, v5, v10, v15)
	blamka(v1, v6, v11, v12)
	blamka(v2, v7, v8, v13)
	blamka(v3, v4, v9, v14)
}

func blamka(a, b, c, d *uint64) {
	*a += *b + 2*uint64(uint32(*a))*uint64(uint32(*b))
	*d = bits.RotateLeft64(*d^*a, -32)
	*c += *d + 2*uint64(uint32(*c))*uint64(uint32(*d))
	*b = bits.RotateLeft64(*b^*c, -24)
	*a += *b + 2*uint64(uint32(*a))*uint64(uint32(*b))
	*d = bits.RotateLeft64(*d^*a, -16)
	*c += *d + 2*uint64(uint32(*c))*uint64(uint32(*d))
	*b = bits.RotateLeft64(*b^*c, -63)
}

// longHash is H' of section 3.3.
func longHash(in []byte, size uint32) []byte {
	in = append(binary.LittleEndian.AppendUint32(nil, size), in...)
	if size <= blake2b.Size {
		return hash(in, int(size))
	}
	var out []byte
	v := hash(in, blake2b.Size)
	for out = append(out, v[:32]...); size-uint32(len(out)) > blake2b.Size; out = append(out, v[:32]...) {
		v = hash(v, blake2b.Size)
	}
	return append(out, hash(v, int(size)-len(out))...)
}

func hash(in []byte, size int) []byte {
	h, err := blake2b.New(size, nil)
	if err != nil {
		panic("kdbx: " + err.Error()) // size is 1 to 64
	}
	h.Write(in)
	return h.Sum(nil)
}

func (b *block) read(text []byte) {
	for i := range b {
		b[i] = binary.LittleEndian.Uint64(text[8*i:])
	}
}

func (b *block) bytes() []byte {
	out := make([]byte, 0, blockBytes)
	for _, w := range b {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}
