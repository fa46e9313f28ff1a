package identity

import "net/netip"

// What holds for passwords of ours holds for those that others check: after ten
// wrong ones in a row an account is locked for that source. Accounts of others
// have names that are no address.

// Locked says whether an account is locked for a source now.
func (s *Service) Locked(account string, from netip.Addr) bool {
	return s.lockout.locked(account, from)
}

// Tried notes that a password was tried.
func (s *Service) Tried(account string, from netip.Addr, right bool) {
	if right {
		s.lockout.succeeded(account, from)
		return
	}
	s.lockout.failed(account, from)
}
