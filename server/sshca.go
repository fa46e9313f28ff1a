package server

import (
	"crypto/rand"

	"vaultpam/pam/sshca"
	"vaultpam/wire/krl"
)

func (s *Server) newSSHCA() *sshca.Service {
	return sshca.New(sshca.Deps{
		Store: s.db, Sealer: s.vault, Scribe: s.scribe, Clock: s.clock, Rand: rand.Reader, Sources: s.cfg.SSHCASources, Format: revocationList,
	})
}

// revocationList writes what is revoked as OpenSSH reads it. The time makes a
// version that grows.
func revocationList(r sshca.Revoked) []byte {
	l := krl.List{Version: uint64(max(r.At.UnixMilli(), 0)), GeneratedAt: r.At, Comment: "VaultPAM " + string(r.Organization)}
	for _, a := range r.Authorities {
		l.Authorities = append(l.Authorities, krl.Authority{PublicKey: a.PublicKey, Serials: a.Serials})
	}
	return l.Marshal()
}
