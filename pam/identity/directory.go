package identity

import "vaultpam/internal/secret"

// directoryPrefix is of the tokens with which directories fill an
// organization. They are nobody's: nothing here takes them for a person.
const directoryPrefix = "vpc_"

// NewDirectoryToken makes a directory's token and the hash under which it is
// kept.
func (s *Service) NewDirectoryToken() (secret.Value, [32]byte, error) {
	return newToken(directoryPrefix, s.rand)
}

// DirectoryTokenHash is the hash of a directory's token; false for what is
// none.
func (s *Service) DirectoryTokenHash(token string) ([32]byte, bool) {
	return parseToken(token, directoryPrefix)
}
