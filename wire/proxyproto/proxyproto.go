// Package proxyproto reads the PROXY protocol header, versions 1 and 2, with
// which a load balancer says whose connection it passes on
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
//
// It must not know which peers may be believed: the caller reads a header only
// from those. Start at [Read].
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Errors of Read.
var (
	ErrNoHeader  = errors.New("proxyproto: the connection does not begin with a header")
	ErrMalformed = errors.New("proxyproto: malformed header")
	ErrTooLong   = errors.New("proxyproto: header is too long")
)

const (
	maxV1   = 107     // the longest line of version 1, with its CRLF (section 2.1)
	maxV2   = 4 << 10 // bytes after the fixed part that we take; the format allows 65,535
	sizeIP4 = 12      // two addresses and two ports
	sizeIP6 = 36
)

var signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// Read takes exactly one header from r and returns the client's address. An
// address that is not valid means that the header names none: a health check
// of the balancer itself, or a transport without addresses.
func Read(r io.Reader) (netip.AddrPort, error) {
	var first [16]byte // the fixed part of version 2
	// Version 1 may be shorter than that ("PROXY UNKNOWN\r\n" has 15 bytes),
	// and what follows the header is not ours to read.
	if _, err := io.ReadFull(r, first[:12]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read header: %w", err)
	}
	switch {
	case bytes.Equal(first[:12], signature):
		if _, err := io.ReadFull(r, first[12:]); err != nil {
			return netip.AddrPort{}, fmt.Errorf("read header: %w", err)
		}
		return readV2(r, first)
	case bytes.HasPrefix(first[:], []byte("PROXY ")):
		return readV1(r, first[:12])
	}
	return netip.AddrPort{}, ErrNoHeader
}

func readV1(r io.Reader, start []byte) (netip.AddrPort, error) {
	line := make([]byte, 0, maxV1)
	line = append(line, start...)
	var b [1]byte
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == maxV1 {
			return netip.AddrPort{}, ErrTooLong
		}
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return netip.AddrPort{}, fmt.Errorf("read header: %w", err)
		}
		line = append(line, b[0])
	}
	f := strings.Split(string(line[:len(line)-2]), " ")
	if f[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil
	}
	if len(f) != 6 || (f[1] != "TCP4" && f[1] != "TCP6") {
		return netip.AddrPort{}, ErrMalformed
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		a, err := netip.ParseAddr(f[2+i])
		if err != nil || a.Zone() != "" || a.Is4() != (f[1] == "TCP4") {
			return netip.AddrPort{}, ErrMalformed
		}
		port, err := strconv.ParseUint(f[4+i], 10, 16)
		if err != nil {
			return netip.AddrPort{}, ErrMalformed
		}
		ends[i] = netip.AddrPortFrom(a.Unmap(), uint16(port))
	}
	return ends[0], nil
}

func readV2(r io.Reader, fixed [16]byte) (netip.AddrPort, error) {
	n := int(binary.BigEndian.Uint16(fixed[14:]))
	if n > maxV2 {
		return netip.AddrPort{}, ErrTooLong
	}
	if fixed[12]>>4 != 2 || fixed[12]&15 > 1 {
		return netip.AddrPort{}, ErrMalformed
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read header: %w", err)
	}
	if fixed[12]&15 == 0 { // LOCAL: the balancer speaks for itself
		return netip.AddrPort{}, nil
	}
	switch fixed[13] {
	case 0x11: // TCP over IPv4
		if n < sizeIP4 {
			return netip.AddrPort{}, ErrMalformed
		}
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[:4])), binary.BigEndian.Uint16(body[8:])), nil
	case 0x21: // TCP over IPv6
		if n < sizeIP6 {
			return netip.AddrPort{}, ErrMalformed
		}
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[:16])).Unmap(), binary.BigEndian.Uint16(body[32:])), nil
	}
	return netip.AddrPort{}, nil
}
