package lease

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"

	"vaultpam/pam"
)

// UserPrefix is how names of users begin, so that leftovers can be found.
const UserPrefix = "vp_"

// After it a name says three things in characters of base 32, 32 in all, which
// is what MySQL takes: when the user has to be gone, in seconds; which lease
// it is, by the end of its id; and which organization made both up. So a name
// says by itself, where every record is lost, whether it is ours and whether
// its time is over.
const (
	dueLen  = 7
	idLen   = 11
	markLen = 11
	nameLen = len(UserPrefix) + dueLen + idLen + markLen
)

// letters are those of ids, in the case that PostgreSQL does not change.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var letters = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// maxDue is the last second that fits.
const maxDue = 1<<(5*dueLen) - 1

// nameOf is the user's name of a lease.
func nameOf(org pam.OrgID, id pam.LeaseID, due time.Time) string {
	seconds := uint64(max(0, min(due.Unix(), maxDue)))
	text := letters.EncodeToString(binary.BigEndian.AppendUint64(nil, seconds<<24)[:5])
	name := UserPrefix + text[len(text)-dueLen:] + strings.ToLower(string(id[max(0, len(id)-idLen):]))
	return name + mark(org, name)
}

// readName says when a user of that name has to be gone, if org made the name.
// It is no proof against those who know an organization's id: all that they
// could have dropped is a user that they named so themselves.
func readName(org pam.OrgID, name string) (due time.Time, ours bool) {
	if len(name) != nameLen || !strings.HasPrefix(name, UserPrefix) || name[nameLen-markLen:] != mark(org, name[:nameLen-markLen]) ||
		strings.Trim(name[len(UserPrefix):], alphabet) != "" {
		return time.Time{}, false
	}
	b, err := letters.DecodeString("0" + name[len(UserPrefix):len(UserPrefix)+dueLen])
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(append(make([]byte, 3), b...))), 0).UTC(), true
}

func mark(org pam.OrgID, name string) string {
	sum := sha256.Sum256([]byte("vaultpam user at a target\x00" + string(org) + "\x00" + name))
	return letters.EncodeToString(sum[:])[:markLen]
}
