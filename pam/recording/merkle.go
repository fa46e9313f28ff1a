package recording

import "golang.org/x/mod/sumdb/tlog"

// merkle computes the root of RFC 6962 section 2.1 over chunk hashes, in
// memory that grows with the logarithm of their number: it keeps the roots of
// the complete subtrees from left to right.
type merkle struct {
	n     int64
	roots []tlog.Hash
}

// add appends a leaf whose data is h.
func (m *merkle) add(h hash) {
	m.roots = append(m.roots, tlog.RecordHash(h[:]))
	for n := m.n; n&1 == 1; n >>= 1 {
		last := len(m.roots) - 1
		m.roots[last-1] = tlog.NodeHash(m.roots[last-1], m.roots[last])
		m.roots = m.roots[:last]
	}
	m.n++
}

// root returns the root of all leaves so far.
func (m *merkle) root() hash {
	if m.n == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return hash(h)
	}
	h := m.roots[len(m.roots)-1]
	for i := len(m.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(m.roots[i], h)
	}
	return hash(h)
}
