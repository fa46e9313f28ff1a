// Package sftp reads the packets of the SSH File Transfer Protocol, version 3
// (draft-ietf-secsh-filexfer-02), with the extensions that OpenSSH describes in
// section 4 of its PROTOCOL file.
//
// It owns the frames, what requests and answers are made of, and the limits on
// both. It must not know which of them are allowed, nor what a path means.
// Start at [Next], [ParseRequest] and [ParseAnswer].
package sftp

import (
	"encoding/binary"
	"errors"
)

// Limits.
const (
	// MaxPacket is the longest packet, its length excluded: OpenSSH's own limit.
	MaxPacket = 256 << 10
	// MaxPath is the longest path: the most that the log keeps of a text.
	MaxPath = 1024
	// MaxHandle is the longest handle (section 6.3 of the draft).
	MaxHandle = 256
	maxPairs  = 64 // extensions in a Version, and extended attributes
)

// Protocol is the version that is spoken.
const Protocol = 3

// Errors of reading. After one of them nobody can say what follows.
var (
	ErrTooLong   = errors.New("sftp: the packet is too long")
	ErrMalformed = errors.New("sftp: malformed packet")
	ErrUnknown   = errors.New("sftp: packet of an unknown kind")
)

// Kind is the type of a packet.
type Kind byte

// The kinds of section 3 of the draft.
const (
	Init     Kind = 1
	Version  Kind = 2
	Open     Kind = 3
	Close    Kind = 4
	Read     Kind = 5
	Write    Kind = 6
	Lstat    Kind = 7
	Fstat    Kind = 8
	Setstat  Kind = 9
	Fsetstat Kind = 10
	Opendir  Kind = 11
	Readdir  Kind = 12
	Remove   Kind = 13
	Mkdir    Kind = 14
	Rmdir    Kind = 15
	Realpath Kind = 16
	Stat     Kind = 17
	Rename   Kind = 18
	Readlink Kind = 19
	Symlink  Kind = 20
	Extended Kind = 200

	Status        Kind = 101
	Handle        Kind = 102
	Data          Kind = 103
	Name          Kind = 104
	Attrs         Kind = 105
	ExtendedReply Kind = 201
)

// Flags of Open (section 6.3).
const (
	FlagRead   = 0x01
	FlagWrite  = 0x02
	FlagAppend = 0x04
	FlagCreate = 0x08
	FlagTrunc  = 0x10
)

// Codes of Status (section 7).
const (
	OK               = 0
	EOF              = 1
	PermissionDenied = 3
	Failure          = 4
	BadMessage       = 5
	Unsupported      = 8
)

// The extensions that ParseRequest understands.
const (
	PosixRename = "posix-rename@openssh.com"
	StatVFS     = "statvfs@openssh.com"
	FstatVFS    = "fstatvfs@openssh.com"
	Hardlink    = "hardlink@openssh.com"
	Fsync       = "fsync@openssh.com"
	Lsetstat    = "lsetstat@openssh.com"
	Limits      = "limits@openssh.com"
	ExpandPath  = "expand-path@openssh.com"
	UserGroups  = "users-groups-by-id@openssh.com"
	HomeOf      = "home-directory"
)

// Request is what a client asks. The fields that its kind does not have are
// zero; Data is a part of the packet.
type Request struct {
	Kind      Kind
	ID        uint32 // of Init: the version
	Extension string // of Extended
	Handle    string
	Path      string
	To        string // the second path of Rename, Symlink, PosixRename and Hardlink
	Flags     uint32 // of Open
	Offset    uint64
	Length    uint32 // that Read asks for
	Data      []byte // that Write brings
	Resizes   bool   // the attributes set a size: a file is cut, or made longer
	Size      uint64 // which
}

// Answer is what a server says. Data is a part of the packet.
type Answer struct {
	Kind   Kind
	ID     uint32 // of Version: the version
	Handle string
	Code   uint32 // of Status
	Data   []byte
	// Extensions are those of a Version, in turn: name and data.
	Extensions []string
}

// Next returns the first packet of p, without its length, and what follows it;
// nil while it is not there as a whole.
func Next(p []byte) (packet, rest []byte, err error) {
	if len(p) < 4 {
		return nil, p, nil
	}
	n := binary.BigEndian.Uint32(p)
	switch {
	case n == 0:
		return nil, nil, ErrMalformed
	case n > MaxPacket:
		return nil, nil, ErrTooLong
	case uint32(len(p)-4) < n:
		return nil, p, nil
	}
	return p[4 : 4+n], p[4+n:], nil
}

// parts takes a packet apart. The first thing that is not there spoils the
// rest.
type parts struct {
	p   []byte
	bad bool
}

func (r *parts) take(n int) []byte {
	if r.bad || n > len(r.p) {
		r.bad = true
		return nil
	}
	out := r.p[:n]
	r.p = r.p[n:]
	return out
}

func (r *parts) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *parts) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *parts) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *parts) bytes() []byte {
	n := r.uint32()
	if n > MaxPacket {
		r.bad = true
		return nil
	}
	return r.take(int(n))
}

// text reads a string of at most limit bytes. Servers end a path at a zero
// byte, so one that has any is not what it seems.
func (r *parts) text(limit int) string {
	b := r.bytes()
	if len(b) > limit {
		r.bad = true
		return ""
	}
	return string(b)
}

func (r *parts) path() string {
	s := r.text(MaxPath)
	for i := range len(s) {
		if s[i] == 0 {
			r.bad = true
			return ""
		}
	}
	return s
}

// attrs reads attributes (section 5) and tells whether they set a size.
func (r *parts) attrs() (size uint64, resizes bool) {
	const hasSize, hasOwner, hasMode, hasTimes, hasMore = 1, 2, 4, 8, 1 << 31
	flags := r.uint32()
	if flags&^(hasSize|hasOwner|hasMode|hasTimes|hasMore) != 0 {
		r.bad = true
	}
	if resizes = flags&hasSize != 0; resizes {
		size = r.uint64()
	}
	for _, f := range []struct {
		flag uint32
		n    int
	}{{hasOwner, 8}, {hasMode, 4}, {hasTimes, 8}} {
		if flags&f.flag != 0 {
			r.take(f.n)
		}
	}
	if flags&hasMore != 0 {
		n := r.uint32()
		if n > maxPairs {
			r.bad = true
		}
		for range n {
			if r.bad {
				break
			}
			r.bytes()
			r.bytes()
		}
	}
	return size, resizes
}

// end is ErrMalformed unless the packet was read exactly to its end: what a
// server would skip is not skipped here.
func (r *parts) end() error {
	if r.bad || len(r.p) > 0 {
		return ErrMalformed
	}
	return nil
}

// ParseRequest reads what a client sends. An extension that it does not
// understand comes back with its id and name, and ErrUnknown.
func ParseRequest(packet []byte) (Request, error) {
	r := &parts{p: packet}
	q := Request{Kind: Kind(r.byte()), ID: r.uint32()}
	switch q.Kind {
	case Init:
		for range maxPairs { // newer clients may add pairs (section 4)
			if r.bad || len(r.p) == 0 {
				break
			}
			r.bytes()
			r.bytes()
		}
	case Open:
		q.Path, q.Flags = r.path(), r.uint32()
		q.Size, q.Resizes = r.attrs()
	case Close, Fstat, Readdir:
		q.Handle = r.text(MaxHandle)
	case Read:
		q.Handle, q.Offset, q.Length = r.text(MaxHandle), r.uint64(), r.uint32()
	case Write:
		q.Handle, q.Offset, q.Data = r.text(MaxHandle), r.uint64(), r.bytes()
	case Lstat, Stat, Opendir, Remove, Rmdir, Realpath, Readlink:
		q.Path = r.path()
	case Setstat, Mkdir:
		q.Path = r.path()
		q.Size, q.Resizes = r.attrs()
	case Fsetstat:
		q.Handle = r.text(MaxHandle)
		q.Size, q.Resizes = r.attrs()
	case Rename, Symlink:
		q.Path, q.To = r.path(), r.path()
	case Extended:
		q.Extension = r.text(MaxPath)
		if r.bad {
			return q, ErrMalformed
		}
		if known := extension(r, &q); !known {
			return q, ErrUnknown
		}
	default:
		return q, ErrUnknown
	}
	return q, r.end()
}

// extension reads the rest of an extended request, if it is one that is known.
func extension(r *parts, q *Request) bool {
	switch q.Extension {
	case PosixRename, Hardlink:
		q.Path, q.To = r.path(), r.path()
	case StatVFS, ExpandPath:
		q.Path = r.path()
	case Lsetstat:
		q.Path = r.path()
		q.Size, q.Resizes = r.attrs()
	case FstatVFS, Fsync:
		q.Handle = r.text(MaxHandle)
	case UserGroups:
		r.bytes()
		r.bytes()
	case HomeOf:
		r.path()
	case Limits:
	default:
		return false
	}
	return true
}

// ParseAnswer reads what a server sends. Names, attributes and what answers an
// extension are not looked into.
func ParseAnswer(packet []byte) (Answer, error) {
	r := &parts{p: packet}
	a := Answer{Kind: Kind(r.byte()), ID: r.uint32()}
	switch a.Kind {
	case Version:
		for len(r.p) > 0 && !r.bad {
			if len(a.Extensions) == 2*maxPairs {
				return a, ErrTooLong
			}
			a.Extensions = append(a.Extensions, string(r.bytes()), string(r.bytes()))
		}
		return a, r.end()
	case Status:
		a.Code = r.uint32()
		if r.bad {
			return a, ErrMalformed
		}
		return a, nil // what it says in words may be missing
	case Handle:
		a.Handle = r.text(MaxHandle)
		return a, r.end()
	case Data:
		a.Data = r.bytes()
		if r.bad {
			return a, ErrMalformed
		}
		return a, nil
	case Name, Attrs, ExtendedReply:
		if r.bad {
			return a, ErrMalformed
		}
		return a, nil
	}
	return a, ErrUnknown
}

func frame(dst []byte, kind Kind, id uint32) []byte {
	dst = append(dst, 0, 0, 0, 0, byte(kind))
	return binary.BigEndian.AppendUint32(dst, id)
}

func closed(p []byte) []byte {
	binary.BigEndian.PutUint32(p, uint32(len(p)-4))
	return p
}

func appendText(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// StatusFrame is a Status as it is sent, its length included.
func StatusFrame(id, code uint32, text string) []byte {
	p := binary.BigEndian.AppendUint32(frame(nil, Status, id), code)
	return closed(appendText(appendText(p, text), "en"))
}

// VersionFrame is a Version as it is sent, with the extensions of a that keep
// says yes to.
func VersionFrame(a Answer, keep func(name string) bool) []byte {
	p := frame(nil, Version, a.ID)
	for i := 0; i+1 < len(a.Extensions); i += 2 {
		if keep(a.Extensions[i]) {
			p = appendText(appendText(p, a.Extensions[i]), a.Extensions[i+1])
		}
	}
	return closed(p)
}

// Understood says whether ParseRequest understands an extension.
func Understood(name string) bool { return extension(&parts{}, &Request{Extension: name}) }
