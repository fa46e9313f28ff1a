package audit

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"vaultpam/pam"
)

// TileWidth is how many hashes make a tile. Leaf hashes are kept with their
// events; of the nodes above, only the root of each full tile is kept, and
// all others are computed from those.
const (
	TileWidth  = 256
	tileHeight = 8 // log2(TileWidth)
)

// Tile is the hash of TileWidth complete children: of leaves at level 1, of
// tiles of the level below at higher levels.
type Tile struct {
	Level int
	Index int64
	Hash  Hash
}

// HashReader reads the kept hashes [from, to) of a level: level 0 holds leaf
// hashes, level n the tiles of that level.
type HashReader func(ctx context.Context, level int, from, to int64) ([]Hash, error)

// FullTiles returns the tiles that the leaves before size complete and the
// leaves before previous do not. read must know the leaves before size; the
// tiles that this call makes are not asked of it.
func FullTiles(ctx context.Context, previous, size int64, read HashReader) ([]Tile, error) {
	var out []Tile
	below := map[int64]Hash{} // tiles of the level below made in this call
	for level := 1; size/TileWidth > 0; level++ {
		made := map[int64]Hash{}
		for index := previous / TileWidth; index < size/TileWidth; index++ {
			children, err := childrenOf(ctx, level, index, below, read)
			if err != nil {
				return nil, err
			}
			h := subtree(children)
			out = append(out, Tile{Level: level, Index: index, Hash: h})
			made[index] = h
		}
		previous, size, below = previous/TileWidth, size/TileWidth, made
	}
	return out, nil
}

func childrenOf(ctx context.Context, level int, index int64, below map[int64]Hash, read HashReader) ([]Hash, error) {
	from, to := index*TileWidth, (index+1)*TileWidth
	kept := to
	for kept > from {
		if _, ok := below[kept-1]; !ok {
			break
		}
		kept--
	}
	children, err := read(ctx, level-1, from, kept)
	if err != nil {
		return nil, err
	}
	for i := kept; i < to; i++ {
		children = append(children, below[i])
	}
	if len(children) != TileWidth {
		return nil, fmt.Errorf("audit tree: tile %d of level %d has %d children", index, level, len(children))
	}
	return children, nil
}

// subtree is the root over a power of two of hashes (RFC 6962 section 2.1).
func subtree(hashes []Hash) Hash {
	row := append([]Hash(nil), hashes...)
	for len(row) > 1 {
		for i := range len(row) / 2 {
			row[i] = node(row[2*i], row[2*i+1])
		}
		row = row[:len(row)/2]
	}
	return row[0]
}

func node(left, right Hash) Hash {
	return Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right)))
}

// treeReader gives tlog any node of the tree from the kept hashes.
type treeReader struct {
	ctx  context.Context
	read HashReader
}

// ReadHashes implements tlog.HashReader.
func (r treeReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		h, err := r.node(uint(level), n)
		if err != nil {
			return nil, err
		}
		out[i] = tlog.Hash(h)
	}
	return out, nil
}

// node computes one complete node from the kept hashes below it.
func (r treeReader) node(level uint, n int64) (Hash, error) {
	up := level % tileHeight
	from, width := n<<up, int64(1)<<up
	hashes, err := r.read(r.ctx, int(level/tileHeight), from, from+width)
	if err != nil {
		return Hash{}, err
	}
	if int64(len(hashes)) != width {
		return Hash{}, fmt.Errorf("audit tree: %d of %d hashes from %d of level %d are missing: %w", width-int64(len(hashes)), width, from, level/tileHeight, errAltered)
	}
	return subtree(hashes), nil
}

// readerOf reads an organization's tree from a store.
func readerOf(ctx context.Context, s Store, org pam.OrgID) treeReader {
	return treeReader{ctx, func(ctx context.Context, level int, from, to int64) ([]Hash, error) {
		return s.Hashes(ctx, org, level, from, to)
	}}
}

// rootOf computes the root over the first size leaves.
func rootOf(size int64, r treeReader) (Hash, error) {
	h, err := tlog.TreeHash(size, r)
	return Hash(h), err
}
