// Package demo is the target behind the Demo Safe of `server --dev`: an SSH
// server in this process that gives a shell of this machine.
//
// It owns its host key and the hash of its one password; the password itself
// is known to the vault alone. It must never be started outside of dev mode.
// Start at [Open].
package demo

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
)

// Host is the name under which the target is registered. It resolves to the
// target's present port inside this process only.
const Host = "demo.vaultpam.internal"

// Username is the only login of the target.
const Username = "demo"

// maxConnections bounds what a runaway client can start.
const maxConnections = 64

// Target is the running demo server.
type Target struct {
	log    *slog.Logger
	config *ssh.ServerConfig
	ln     net.Listener
	state  state
	path   string
	shell  shell

	wg    sync.WaitGroup
	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

// state is what the target keeps between runs.
type state struct {
	HostKeyPEM   string `json:"host_key"`
	PasswordHash string `json:"password_sha256"` // of 32 random bytes, so that a plain hash is enough
}

// Open reads the target's state from dir, makes it at the first time, and
// listens on a free port of 127.0.0.1.
func Open(dir string, log *slog.Logger) (*Target, error) {
	t := &Target{log: log, path: filepath.Join(dir, "demo-target.json"), shell: findShell(), conns: map[net.Conn]bool{}}
	if err := t.load(); err != nil {
		return nil, fmt.Errorf("demo target: %w", err)
	}
	signer, err := ssh.ParsePrivateKey([]byte(t.state.HostKeyPEM))
	if err != nil {
		return nil, fmt.Errorf("demo target: host key: %w", err)
	}
	t.config = &ssh.ServerConfig{PasswordCallback: t.checkPassword, MaxAuthTries: 3, ServerVersion: "SSH-2.0-VaultPAM-Demo"}
	t.config.AddHostKey(signer)
	if t.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("demo target: %w", err)
	}
	return t, nil
}

func (t *Target) load() error {
	text, err := os.ReadFile(t.path)
	if err == nil {
		return json.Unmarshal(text, &t.state)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return err
	}
	t.state.HostKeyPEM = string(pem.EncodeToMemory(block))
	return t.save()
}

func (t *Target) save() error {
	text, err := json.Marshal(t.state)
	if err != nil {
		return err
	}
	return os.WriteFile(t.path, text, 0o600)
}

// NewPassword replaces the target's password by a random one and returns it,
// to be put into the vault and kept nowhere else.
func (t *Target) NewPassword() (secret.Value, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return secret.Value{}, err
	}
	text := base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(text))
	t.state.PasswordHash = base64.StdEncoding.EncodeToString(sum[:])
	return secret.FromString(text), t.save()
}

// HostKey returns the OpenSSH line to pin.
func (t *Target) HostKey() string {
	signer, err := ssh.ParsePrivateKey([]byte(t.state.HostKeyPEM))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// Addr is where the target listens in this run.
func (t *Target) Addr() string { return t.ln.Addr().String() }

func (t *Target) checkPassword(meta ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	sum := sha256.Sum256(password)
	want, err := base64.StdEncoding.DecodeString(t.state.PasswordHash)
	if err != nil || meta.User() != Username || subtle.ConstantTimeCompare(sum[:], want) != 1 {
		return nil, errors.New("wrong password")
	}
	return &ssh.Permissions{}, nil
}

// Run serves until ctx ends, then closes every connection and waits.
func (t *Target) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		_ = t.ln.Close()
		t.mu.Lock()
		defer t.mu.Unlock()
		for c := range t.conns {
			_ = c.Close()
		}
	})
	defer stop()
	defer t.wg.Wait()
	for {
		c, err := t.ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("demo target: %w", err)
		}
		t.mu.Lock()
		if len(t.conns) >= maxConnections || ctx.Err() != nil {
			t.mu.Unlock()
			_ = c.Close()
			continue
		}
		t.conns[c] = true
		t.mu.Unlock()
		t.wg.Go(func() {
			defer func() {
				_ = c.Close()
				t.mu.Lock()
				delete(t.conns, c)
				t.mu.Unlock()
			}()
			t.serve(c)
		})
	}
}

func (t *Target) serve(c net.Conn) {
	conn, channels, requests, err := ssh.NewServerConn(c, t.config)
	if err != nil {
		t.log.Debug("demo target: handshake", "error", err)
		return
	}
	defer conn.Close()
	t.wg.Go(func() { ssh.DiscardRequests(requests) })
	for nc := range channels {
		if nc.ChannelType() != "session" {
			_ = nc.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		ch, reqs, err := nc.Accept()
		if err != nil {
			return
		}
		t.wg.Go(func() {
			defer ch.Close()
			if err := t.shell.session(ch, reqs); err != nil && !errors.Is(err, io.EOF) {
				t.log.Debug("demo target: session", "error", err)
			}
		})
	}
}
