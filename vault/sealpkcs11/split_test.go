package sealpkcs11

import (
	"bytes"
	"testing"
)

func FuzzSplit(f *testing.F) {
	f.Add(append([]byte{1, 1, 'k'}, make([]byte, nonceSize+tagSize+1)...))
	f.Add([]byte{1, 255})
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		label, nonce, sealed, err := split(wrapped)
		if err == nil && !bytes.Equal(bytes.Join([][]byte{{wrapVersion, byte(len(label))}, label, nonce, sealed}, nil), wrapped) {
			t.Error("the parts are not the whole")
		}
	})
}
