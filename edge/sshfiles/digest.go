package sshfiles

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// maxWaiting is how many bytes of a channel's files are kept until those before
// them have come. Clients ask for parts in their order, and get a missing one
// late where a server has answered with less than was asked for.
const maxWaiting = 16 << 20

// partCost is what a waiting part costs beside its bytes.
const partCost = 128

// digest is the SHA-256 of a file whose parts pass one by one.
type digest struct {
	sum     hash.Hash
	from    uint64 // where the first part began
	at      uint64 // up to where everything was hashed
	bytes   uint64 // that passed
	ended   bool   // the file was seen to end at end
	end     uint64
	waiting map[uint64][]byte
	room    *int // how much may still be kept, of all files of the channel
	arrives bool // parts are put where the file ends, whatever is said of their places
	broken  bool // parts came twice, or too far from their order
}

// add takes a part.
func (d *digest) add(offset uint64, data []byte) {
	if len(data) == 0 {
		return
	}
	if d.sum == nil {
		d.sum, d.from, d.at = sha256.New(), offset, offset
	}
	d.bytes += uint64(len(data))
	switch {
	case d.broken:
	case offset == d.at:
		d.hash(data)
		for len(d.waiting) > 0 {
			next, ok := d.waiting[d.at]
			if !ok {
				break
			}
			delete(d.waiting, d.at)
			*d.room += len(next) + partCost
			d.hash(next)
		}
	case d.arrives, offset < d.at, d.waiting[offset] != nil, len(data)+partCost > *d.room:
		d.broken = true
		d.drop()
	default:
		if d.waiting == nil {
			d.waiting = map[uint64][]byte{}
		}
		d.waiting[offset] = append([]byte(nil), data...)
		*d.room -= len(data) + partCost
	}
}

func (d *digest) hash(data []byte) {
	d.sum.Write(data)
	d.at += uint64(len(data))
}

// drop gives back what was kept.
func (d *digest) drop() {
	for _, part := range d.waiting {
		*d.room += len(part) + partCost
	}
	d.waiting = nil
}

// eof notes that there is nothing at offset.
func (d *digest) eof(offset uint64) { d.ended, d.end = true, offset }

// hex is the sum, "" where the parts did not make up a sequence.
func (d *digest) hex() string {
	if d.broken || len(d.waiting) > 0 {
		return ""
	}
	if d.sum == nil {
		d.sum = sha256.New()
	}
	return hex.EncodeToString(d.sum.Sum(nil))
}
