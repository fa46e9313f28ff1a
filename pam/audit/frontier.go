package audit

import "encoding/base64"

// span is the hashes of a run of leaves [begin, end), as few as possible: a
// node stands for its leaves as soon as both of its children are there. Runs
// that start at 0 have a root.
type span struct {
	end   int64
	nodes []spanNode
}

type spanNode struct {
	level uint
	index int64 // within the level
	hash  Hash
}

// push adds the node of the given level that begins at s.end.
func (s *span) push(level uint, h Hash) {
	n := spanNode{level, s.end >> level, h}
	s.end += 1 << level
	for len(s.nodes) > 0 && n.index%2 == 1 {
		last := s.nodes[len(s.nodes)-1]
		if last.level != n.level || last.index != n.index-1 {
			break
		}
		n = spanNode{n.level + 1, n.index / 2, node(last.hash, n.hash)}
		s.nodes = s.nodes[:len(s.nodes)-1]
	}
	s.nodes = append(s.nodes, n)
}

// root is the tree's root (RFC 6962 section 2.1) for a run that begins at 0.
func (s *span) root() Hash {
	if len(s.nodes) == 0 {
		return emptyRoot
	}
	h := s.nodes[len(s.nodes)-1].hash
	for i := len(s.nodes) - 2; i >= 0; i-- {
		h = node(s.nodes[i].hash, h)
	}
	return h
}

// emptyRoot is the hash of no leaves: SHA-256 of nothing.
var emptyRoot = Hash{
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
	0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
}

// cover names the levels of the nodes that make up [from, to), left to right.
func cover(from, to int64) []uint {
	var levels []uint
	for from < to {
		level := uint(0)
		for from%(2<<level) == 0 && from+(2<<level) <= to {
			level++
		}
		levels = append(levels, level)
		from += 1 << level
	}
	return levels
}

// covering reads the hashes of the nodes that make up [from, to).
func covering(r treeReader, from, to int64) ([]Hash, error) {
	var out []Hash
	for _, level := range cover(from, to) {
		h, err := r.node(level, from>>level)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
		from += 1 << level
	}
	return out, nil
}

func encodeHashes(hs []Hash) []string {
	out := make([]string, len(hs))
	for i, h := range hs {
		out[i] = base64.StdEncoding.EncodeToString(h[:])
	}
	return out
}

func decodeHash(s string) (Hash, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != len(Hash{}) {
		return Hash{}, false
	}
	return Hash(b), true
}
