package sshproxy

import (
	"encoding/binary"
	"io"
	"net"
	"time"

	"vaultpam/edge/sshpump"
	"vaultpam/pam"
)

const (
	msgDisconnect       = 1 // RFC 4253 section 12
	serviceNotAvailable = 7
	parting             = 2 * time.Second // for the client to read why
)

// turnAway says why nobody is let in, and closes. It comes before any key
// exchange, since the host key is in the vault: the client shows the sentence,
// and nobody has typed a password yet.
func turnAway(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(parting))
	if _, err := c.Write(append([]byte("SSH-2.0-VaultPAM\r\n"), disconnect(sshpump.Sentence(&pam.Error{Kind: pam.Sealed}))...)); err != nil {
		return
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	// A close with something unread would take the sentence back.
	_, _ = io.CopyN(io.Discard, c, 64<<10)
}

// disconnect is an SSH packet without encryption (RFC 4253 sections 6 and 11.1).
func disconnect(why string) []byte {
	payload := binary.BigEndian.AppendUint32([]byte{msgDisconnect}, serviceNotAvailable)
	payload = binary.BigEndian.AppendUint32(payload, uint32(len(why)))
	payload = append(payload, why...)
	payload = binary.BigEndian.AppendUint32(payload, 0) // language
	padding := 8 - (5+len(payload))%8
	if padding < 4 {
		padding += 8
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	out = append(append(out, byte(padding)), payload...)
	return append(out, make([]byte, padding)...)
}
