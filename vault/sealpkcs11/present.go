//go:build pkcs11

package sealpkcs11

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/miekg/pkcs11"

	"vaultpam/internal/secret"
	"vaultpam/vault"
)

// Seal has the module wrap. It is safe for concurrent use. It logs in at each
// use and out after it, so that a sealed server holds no session.
type Seal struct {
	Config
	mu sync.Mutex // one use at a time: a module is begun and ended for the whole process
}

// New makes a seal. It asks the module nothing yet.
func New(c Config) (*Seal, error) {
	if c.Module == "" || c.Token == "" || c.Key == "" || len(c.Key) > 255 || c.PIN.Empty() {
		return nil, ErrConfig
	}
	return &Seal{Config: c}, nil
}

// session is a login at the token.
type session struct {
	*pkcs11.Ctx
	handle pkcs11.SessionHandle
}

// with calls f with a session of the token, and ends it.
func (s *Seal) with(f func(session) error) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	module := pkcs11.New(s.Module)
	if module == nil {
		return fmt.Errorf("%s: %w", s.Module, ErrModule)
	}
	defer module.Destroy()
	if err := module.Initialize(); err != nil {
		return told("begin", err)
	}
	defer func() { err = errors.Join(err, told("end", module.Finalize())) }()
	slot, err := s.slot(module)
	if err != nil {
		return err
	}
	handle, err := module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return told("open session", err)
	}
	defer func() { err = errors.Join(err, told("close session", module.CloseSession(handle))) }()
	if err := module.Login(handle, pkcs11.CKU_USER, string(s.PIN.Expose())); err != nil {
		return told("log in", err)
	}
	defer func() { err = errors.Join(err, told("log out", module.Logout(handle))) }()
	return f(session{module, handle})
}

// told wraps what the module says, which is a number and its name.
func told(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("pkcs11: %s: %w", what, err)
}

func (s *Seal) slot(module *pkcs11.Ctx) (slot uint, err error) {
	slots, err := module.GetSlotList(true)
	if err != nil {
		return 0, told("list tokens", err)
	}
	found := 0
	for _, candidate := range slots {
		if info, err := module.GetTokenInfo(candidate); err == nil && info.Label == s.Token {
			slot, found = candidate, found+1
		}
	}
	if found != 1 {
		return 0, fmt.Errorf("%s: %w", s.Token, ErrToken)
	}
	return slot, nil
}

func (s *Seal) template() []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES), pkcs11.NewAttribute(pkcs11.CKA_LABEL, s.Key),
	}
}

func (s *Seal) find(t session) (key pkcs11.ObjectHandle, n int, err error) {
	if err := t.FindObjectsInit(t.handle, s.template()); err != nil {
		return 0, 0, told("find key", err)
	}
	keys, _, err := t.FindObjects(t.handle, 2)
	if err = errors.Join(err, t.FindObjectsFinal(t.handle)); err != nil {
		return 0, 0, told("find key", err)
	}
	if len(keys) == 1 {
		key = keys[0]
	}
	return key, len(keys), nil
}

// MakeKey makes the key if the token has none of its label: one that never
// leaves it.
func MakeKey(seal vault.RootSeal) error {
	s, ok := seal.(*Seal)
	if !ok {
		return ErrConfig
	}
	return s.with(func(t session) error {
		_, n, err := s.find(t)
		if err != nil || n == 1 {
			return err
		}
		if n > 1 {
			return ErrKey
		}
		_, err = t.GenerateKey(t.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, append(s.template(),
			pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
			pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true)))
		return told("make key", err)
	})
}

// use calls f with the key.
func (s *Seal) use(f func(session, pkcs11.ObjectHandle) error) error {
	return s.with(func(t session) error {
		key, n, err := s.find(t)
		if err == nil && n != 1 {
			err = fmt.Errorf("%s: %w", s.Key, ErrKey)
		}
		if err != nil {
			return err
		}
		return f(t, key)
	})
}

// Wrap has the module encrypt plaintext with AES-GCM and bind ad to it.
func (s *Seal) Wrap(_ context.Context, plaintext, ad []byte) (out []byte, err error) {
	nonce := make([]byte, nonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	err = s.use(func(t session, key pkcs11.ObjectHandle) error {
		params := pkcs11.NewGCMParams(nonce, ad, tagSize*8)
		defer params.Free()
		if err := t.EncryptInit(t.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
			return told("encrypt", err)
		}
		sealed, err := t.Encrypt(t.handle, plaintext)
		if err != nil {
			return told("encrypt", err)
		}
		used := params.IV() // some modules take a nonce of their own
		if len(used) != nonceSize || len(sealed) != len(plaintext)+tagSize {
			return ErrDamaged
		}
		out = append([]byte{wrapVersion, byte(len(s.Key))}, s.Key...)
		out = append(append(out, used...), sealed...)
		return nil
	})
	return out, err
}

// Unwrap has the module decrypt what Wrap returned for the same ad.
func (s *Seal) Unwrap(_ context.Context, wrapped, ad []byte) (out secret.Value, err error) {
	label, nonce, sealed, err := split(wrapped)
	if err != nil {
		return out, err
	}
	if string(label) != s.Key {
		return out, fmt.Errorf("pkcs11: the key %s is configured, but %q is needed: %w", s.Key, label, vault.ErrWrongKey)
	}
	err = s.use(func(t session, key pkcs11.ObjectHandle) error {
		params := pkcs11.NewGCMParams(nonce, ad, tagSize*8)
		defer params.Free()
		if err := t.DecryptInit(t.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
			return told("decrypt", err)
		}
		plaintext, err := t.Decrypt(t.handle, sealed)
		if err != nil {
			return errors.Join(ErrAltered, told("decrypt", err))
		}
		if len(plaintext) == 0 {
			return ErrAltered
		}
		out = secret.New(plaintext)
		return nil
	})
	if err != nil {
		out.Wipe()
		return secret.Value{}, err
	}
	return out, nil
}
