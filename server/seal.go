package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"vaultpam/internal/secret"
	"vaultpam/internal/shamir"
	"vaultpam/vault"
	"vaultpam/vault/sealfile"
	"vaultpam/vault/sealkms"
	"vaultpam/vault/sealpkcs11"
	"vaultpam/vault/sealshamir"
	"vaultpam/vault/sealtransit"
)

// keyFile is the kind of the seal that is a file.
const keyFile = "keyfile"

// SealConfig says what seals the root key. docs/seals.md helps to choose.
type SealConfig struct {
	Seal string

	TransitAddress, TransitMount, TransitKey, TransitNamespace, TransitCA, TransitToken, TransitTokenFile string

	AWSKMSKey, AWSKMSRegion, AWSKMSEndpoint, AWSKMSCA, AWSKMSCredentials, AWSKMSProfile string

	PKCS11Module, PKCS11Token, PKCS11Key, PKCS11PIN string

	Deal Deal // of init and of a move to shares
}

// Deal says how many shares are made, and where they go.
type Deal struct {
	Shares, Threshold int
	To                string // a directory; "" prints them
}

func (c *SealConfig) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.Seal, "seal", keyFile, "what seals the root key: keyfile, shamir, transit, awskms or pkcs11")
	fs.StringVar(&c.TransitAddress, "transit-address", "", "https:// address of the OpenBao or Vault server")
	fs.StringVar(&c.TransitMount, "transit-mount", "transit", "path of its transit engine")
	fs.StringVar(&c.TransitKey, "transit-key", "vaultpam", "name of the key, of type aes256-gcm96")
	fs.StringVar(&c.TransitNamespace, "transit-namespace", "", "namespace of the engine")
	fs.StringVar(&c.TransitCA, "transit-ca", "", "certificates (PEM) that the server's is checked by, instead of the system's")
	fs.StringVar(&c.TransitToken, "transit-token", "", "token that may encrypt and decrypt with the key; renewed while this server runs")
	fs.StringVar(&c.TransitTokenFile, "transit-token-file", "", "file that holds transit-token, read at each use: an agent may renew it")
	fs.StringVar(&c.AWSKMSKey, "awskms-key", "", "id, ARN or alias of the key")
	fs.StringVar(&c.AWSKMSRegion, "awskms-region", "", "region of the key")
	fs.StringVar(&c.AWSKMSEndpoint, "awskms-endpoint", "", "https:// address of the service (default: the region's)")
	fs.StringVar(&c.AWSKMSCA, "awskms-ca", "", "certificates (PEM) that the service's is checked by, instead of the system's")
	fs.StringVar(&c.AWSKMSCredentials, "awskms-credentials", "", "credentials file (default: the AWS_ variables, then ~/.aws/credentials)")
	fs.StringVar(&c.AWSKMSProfile, "awskms-profile", "", "profile in the credentials file (default: AWS_PROFILE, then default)")
	fs.StringVar(&c.PKCS11Module, "pkcs11-module", "", "library (.so) of the hardware security module")
	fs.StringVar(&c.PKCS11Token, "pkcs11-token", "", "label of its token")
	fs.StringVar(&c.PKCS11Key, "pkcs11-key", "vaultpam", "label of the AES key, made by init where there is none")
	fs.StringVar(&c.PKCS11PIN, "pkcs11-pin", "", "PIN of the token's user")
}

// AddFlags binds the settings of a deal.
func (d *Deal) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&d.Shares, "shares", 5, "with the seal shamir: how many shares are made")
	fs.IntVar(&d.Threshold, "threshold", 3, "with the seal shamir: how many of them open the vault")
	fs.StringVar(&d.To, "shares-to", "", "with the seal shamir: a directory for the shares, one file each (default: they are printed)")
}

// rootSeal is the seal that is configured. It does not say that it opens the
// vault.
func (s *Server) rootSeal(kind string) (vault.RootSeal, error) {
	c := &s.cfg
	switch kind {
	case keyFile:
		return sealfile.Open(c.KeyFile)
	case sealshamir.Kind:
		return sealshamir.New(s.clock, rand.Reader), nil
	case sealtransit.Kind:
		return sealtransit.New(sealtransit.Config{
			Address: c.TransitAddress, Mount: c.TransitMount, Key: c.TransitKey, Namespace: c.TransitNamespace, CAFile: c.TransitCA,
			Token: secret.FromString(c.TransitToken), TokenFile: c.TransitTokenFile,
		})
	case sealkms.Kind:
		return sealkms.New(sealkms.Config{
			KeyID: c.AWSKMSKey, Region: c.AWSKMSRegion, Endpoint: c.AWSKMSEndpoint, CAFile: c.AWSKMSCA,
			Credentials: sealkms.Find(c.AWSKMSCredentials, c.AWSKMSProfile, os.LookupEnv), Clock: s.clock,
		})
	case sealpkcs11.Kind:
		return sealpkcs11.New(sealpkcs11.Config{Module: c.PKCS11Module, Token: c.PKCS11Token, Key: c.PKCS11Key, PIN: secret.FromString(c.PKCS11PIN)})
	}
	return nil, fmt.Errorf("--seal %s: keyfile, shamir, transit, awskms or pkcs11", kind)
}

// newSeal is a seal for what is not wrapped yet: what it needs and lacks is
// made, and shares are handed out. These are worth nothing until something is
// wrapped; if that fails, the next ones are others.
func (s *Server) newSeal(kind, path string) (vault.RootSeal, error) {
	switch kind {
	case keyFile:
		seal, err := sealfile.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			seal, err = sealfile.Create(path, rand.Reader)
		}
		return seal, err
	case sealshamir.Kind:
		d := s.cfg.Deal
		seal, shares, err := sealshamir.Deal(d.Shares, d.Threshold, s.clock, rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("--shares %d --threshold %d: a threshold is at least 2 and at most the number of shares, which is at most %d", d.Shares, d.Threshold, shamir.MaxShares)
		}
		defer clear(shares)
		return seal, handOut(shares, d.To, s.out)
	case sealpkcs11.Kind:
		seal, err := s.rootSeal(kind)
		if err != nil {
			return nil, err
		}
		return seal, sealpkcs11.MakeKey(seal)
	}
	return s.rootSeal(kind)
}

// handOut writes shares where people find them: each one this once.
func handOut(shares []shamir.Share, dir string, out io.Writer) error {
	if dir == "" {
		fmt.Fprintf(out, "These %d shares open the vault, any %d of them. They are shown this once: give each to another person.\n", len(shares), shares[0].Threshold)
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("--shares-to: %w", err)
	}
	for i := range shares {
		text := append(shares[i].Text(), '\n')
		var err error
		if dir == "" {
			_, err = out.Write(text)
		} else {
			err = writeNew(filepath.Join(dir, fmt.Sprintf("share-%d", shares[i].Index)), text)
		}
		clear(text)
		if err != nil {
			return fmt.Errorf("shares: %w", err)
		}
	}
	if dir != "" {
		fmt.Fprintf(out, "Wrote %d shares to %s, any %d of which open the vault: give each to another person, and remove them there.\n", len(shares), dir, shares[0].Threshold)
	}
	return nil
}

// writeNew makes a file durable that was not there.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// reopenFirst and reopenMost are the waits between attempts to open the vault
// with a seal that did not answer.
const (
	reopenFirst = time.Second
	reopenMost  = time.Minute
)
