package sshtarget

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is an SSH server of the test, which may be as hostile as it likes.
type peer struct {
	key    ssh.Signer
	config *ssh.ServerConfig

	mu        sync.Mutex // guards what follows
	conn      net.Conn
	passwords []string // that were sent to it
}

func newPeer(t *testing.T) *peer {
	p := &peer{key: newKey(t, "ed25519")}
	p.config = &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		p.got(string(password))
		if string(password) != "right" {
			return nil, errors.New("wrong password")
		}
		return nil, nil
	}}
	p.config.AddHostKey(p.key)
	return p
}

func (p *peer) got(password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passwords = append(p.passwords, password)
}

func (p *peer) received() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.passwords...)
}

func (p *peer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.conn.Close()
}

// dial connects to the peer, which serves that connection only and answers
// every global request.
func (p *peer) dial(t *testing.T) net.Conn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	p.mu.Lock()
	p.conn = server
	p.mu.Unlock()
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
		<-done
	})
	go func() { // ends with its connection, for which the cleanup waits
		defer close(done)
		c, channels, requests, err := ssh.NewServerConn(server, p.config)
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(true, r.Payload)
			}
		}()
		for ch := range channels {
			_ = ch.Reject(ssh.Prohibited, "no channels here")
		}
		_ = c.Wait()
	}()
	return client
}

// asks builds options that pin key and count how often the credential is
// asked for.
func asks(key ssh.Signer, c Credential) (Options, *int) {
	n := new(int)
	return Options{
		HostKeys: []string{Line(key.PublicKey())}, Username: "root", Timeout: 10 * time.Second,
		Login: func(context.Context) (Credential, error) {
			*n++
			return c, nil
		},
	}, n
}

func password(text string) Credential { return Credential{Password: secret.FromString(text)} }

func newKey(t testing.TB, kind string) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(rawKey(t, kind))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func rawKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keyPair makes a private key as OpenSSH writes it, and its public half.
func keyPair(t testing.TB, kind, passphrase string) (secret.Value, ssh.PublicKey) {
	t.Helper()
	key := rawKey(t, kind)
	var block *pem.Block
	var err error
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(pem.EncodeToMemory(block)), public
}
