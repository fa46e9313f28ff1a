package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
	"vaultpam/server/demo"
)

// credentials are printed once, at the start that made them.
type credentials struct {
	email, password string
	generated       bool
}

// seed makes what dev mode has at its first start: an organization with an
// owner, a demo target and two example Safes. Later starts only start the
// target.
func (s *Server) seed(ctx context.Context) error {
	s.note(ctx, audit.ServerStarted)
	if !s.cfg.Dev {
		if _, err := s.db.FirstOrganization(ctx); pam.Is(err, pam.NotFound) {
			return fmt.Errorf("there is no organization yet: run vaultpam init first")
		} else if err != nil {
			return err
		}
		return nil
	}
	var err error
	if s.demo, err = demo.Open(s.cfg.DataDir, s.log); err != nil {
		return err
	}
	if _, err := s.db.FirstOrganization(ctx); err == nil {
		return nil
	} else if !pam.Is(err, pam.NotFound) {
		return err
	}
	first := credentials{email: s.cfg.DevEmail, password: s.cfg.DevPassword}
	if first.password == "" {
		raw := make([]byte, 12)
		if _, err := rand.Read(raw); err != nil {
			return err
		}
		first.password, first.generated = base64.RawURLEncoding.EncodeToString(raw), true
	}
	org, owner, err := s.orgs.Bootstrap(ctx, "Dev", first.email, secret.FromString(first.password))
	if err != nil {
		return fmt.Errorf("make the first organization: %w", err)
	}
	actor := pam.Actor{
		User: owner, Email: first.email, HomeOrg: org, Org: org, Role: pam.Owner, InstanceAdmin: true,
		Token: pam.SystemToken, StepUpAt: s.clock.Now(), RequestID: "seed",
	}
	if err := s.seedSafes(ctx, actor); err != nil {
		return fmt.Errorf("make the example Safes: %w", err)
	}
	s.firstRun = &first
	return nil
}

func (s *Server) seedSafes(ctx context.Context, actor pam.Actor) error {
	target, err := s.resources.Create(ctx, actor, resource.Settings{
		Name: "Demo target", Type: pam.SSH, Host: demo.Host, Port: 22, HostKeys: []string{s.demo.HostKey()}, HostKeyPolicy: resource.Pinned,
	})
	if err != nil {
		return err
	}
	password, err := s.demo.NewPassword()
	if err != nil {
		return err
	}
	login, err := s.accounts.Create(ctx, actor, account.Settings{Name: "Demo login", Username: demo.Username, ResourceID: target.ID}, &account.NewCredential{Kind: account.Password, Value: password})
	if err != nil {
		return err
	}
	if _, err := s.safes.Create(ctx, actor, safe.Settings{
		Name: "Demo", Description: "A shell of this machine, recorded.", Bindings: []safe.Binding{{ResourceID: target.ID, AccountID: login.ID}},
	}.WithDefaults()); err != nil {
		return err
	}
	_, err = s.safes.Create(ctx, actor, safe.Settings{Name: "Example", Description: "An empty Safe, to be filled."}.WithDefaults())
	return err
}

// note writes an event of the server itself. Where the vault or the store
// cannot be written any more there is nobody to tell but the log.
func (s *Server) note(ctx context.Context, t audit.Type) {
	e := s.scribe.Entry(pam.Actor{Token: pam.SystemToken}, t, audit.Party{Type: "server", Name: s.version}, nil)
	if err := s.db.Audit().Append(ctx, pam.InstanceOrg, e); err != nil {
		s.log.Error("event not written", "type", string(t), "error", err)
	}
}

// announce says in a few lines what to type next. Outside of dev mode the log
// line is enough.
func (s *Server) announce(hostKeys []ssh.Signer) {
	fingerprint := ssh.FingerprintSHA256(hostKeys[0].PublicKey())
	s.log.Info("serving", "version", s.version, "api", s.httpListener.Addr().String(), "ssh", s.sshListener.Addr().String(), "ssh_host_key", fingerprint, "dev", s.cfg.Dev)
	if !s.cfg.Dev {
		return
	}
	email := s.cfg.DevEmail
	password := "the password that was printed at the first start"
	if s.firstRun != nil {
		email, password = s.firstRun.email, "the password in VAULTPAM_DEV_PASSWORD"
		if s.firstRun.generated {
			password = s.firstRun.password + "   (shown this once)"
		}
	} else if owner, err := s.db.FirstOwnerEmail(context.Background()); err == nil {
		email = owner
	}
	base := "http://" + s.httpListener.Addr().String()
	fmt.Fprintf(s.out, "VaultPAM %s is running for development; stop it with Ctrl-C.\n", s.version)
	fmt.Fprintf(s.out, "  Sign in as     %s, password: %s\n", email, password)
	fmt.Fprintf(s.out, "  SSH session    %s\n", s.sshCommand(email, "demo"))
	fmt.Fprintf(s.out, "  Command line   %s login %s   then: %s safes\n", os.Args[0], base, os.Args[0])
	fmt.Fprintf(s.out, "  Quickstart     VAULTPAM_BASE_URL=%s python3 docs/quickstart.py\n", base)
	fmt.Fprintf(s.out, "  API reference  %s/api/v1/docs\n", base)
}

// sshCommand is the command line that opens a session with the native client.
func (s *Server) sshCommand(email, target string) string {
	host, port, err := net.SplitHostPort(s.sshListener.Addr().String())
	if err != nil {
		return ""
	}
	if s.cfg.PublicURL != "" {
		if _, rest, ok := strings.Cut(s.cfg.PublicURL, "://"); ok {
			host, _, _ = strings.Cut(rest, "/")
			if h, _, err := net.SplitHostPort(host); err == nil {
				host = h
			}
		}
	}
	return fmt.Sprintf("ssh -p %s '%s'@%s", port, strings.ReplaceAll(email+"+"+target, "'", `'\''`), host)
}
