// Package krl writes key revocation lists as OpenSSH's servers read them.
//
// It owns the bytes of PROTOCOL.krl, of which it writes lists of serial numbers
// per authority. It must not know why a certificate is revoked. Start at [List].
package krl

import (
	"encoding/binary"
	"slices"
	"time"
)

const (
	magic               = "SSHKRL\n\x00"
	formatVersion       = 1
	sectionCertificates = 1
	serialList          = 0x20
)

// List is what is revoked.
type List struct {
	Version     uint64 // grows with each list
	GeneratedAt time.Time
	Comment     string
	Authorities []Authority
}

// Authority is one key that signs certificates, and those that it takes back.
type Authority struct {
	PublicKey []byte // as in SSH's wire format
	Serials   []uint64
}

// Marshal returns the list. Serial 0 means no certificate and is left out.
func (l List) Marshal() []byte {
	out := []byte(magic)
	out = binary.BigEndian.AppendUint32(out, formatVersion)
	out = binary.BigEndian.AppendUint64(out, l.Version)
	out = binary.BigEndian.AppendUint64(out, uint64(max(l.GeneratedAt.Unix(), 0)))
	out = binary.BigEndian.AppendUint64(out, 0) // flags
	out = text(out, nil)                        // reserved
	out = text(out, []byte(l.Comment))
	for _, a := range l.Authorities {
		serials := slices.Compact(slices.Sorted(slices.Values(a.Serials)))
		if len(serials) > 0 && serials[0] == 0 {
			serials = serials[1:]
		}
		if len(serials) == 0 {
			continue // ssh-keygen takes no empty section
		}
		numbers := make([]byte, 0, 8*len(serials))
		for _, n := range serials {
			numbers = binary.BigEndian.AppendUint64(numbers, n)
		}
		section := text(text(nil, a.PublicKey), nil)
		section = text(append(section, serialList), numbers)
		out = text(append(out, sectionCertificates), section)
	}
	return out
}

// text appends a string of SSH: its length and its bytes.
func text(out, s []byte) []byte {
	return append(binary.BigEndian.AppendUint32(out, uint32(len(s))), s...)
}
