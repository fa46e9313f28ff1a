// Package server puts the rooms together: it owns the configuration, the
// order of starting and stopping, and the background jobs. It is the only
// place that knows everything, and it decides nothing. Start at [Run].
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"vaultpam/edge"
	"vaultpam/edge/httpapi"
	"vaultpam/edge/sshproxy"
	"vaultpam/idp/ldap"
	"vaultpam/idp/oidc"
	"vaultpam/idp/saml"
	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/broker"
	"vaultpam/pam/checkout"
	"vaultpam/pam/confirmation"
	usergroup "vaultpam/pam/group"
	"vaultpam/pam/identity"
	"vaultpam/pam/invitation"
	"vaultpam/pam/lease"
	"vaultpam/pam/org"
	"vaultpam/pam/outbox"
	"vaultpam/pam/provisioning"
	"vaultpam/pam/recording"
	"vaultpam/pam/request"
	"vaultpam/pam/resource"
	"vaultpam/pam/review"
	"vaultpam/pam/rotation"
	"vaultpam/pam/rulebook"
	"vaultpam/pam/safe"
	"vaultpam/pam/session"
	"vaultpam/pam/sshca"
	"vaultpam/pam/sso"
	"vaultpam/pam/stats"
	"vaultpam/pam/webhook"
	"vaultpam/post/hook"
	"vaultpam/server/demo"
	"vaultpam/store"
	"vaultpam/store/blobfs"
	"vaultpam/vault"
	"vaultpam/web"
)

// Server is an assembled server.
type Server struct {
	cfg     Config
	version string
	out     io.Writer
	log     *slog.Logger
	clock   clock.Clock
	ids     *ids.Source
	db      *store.DB
	vault   *vault.Vault
	scribe  *audit.Scribe

	identity      *identity.Service
	orgs          *org.Service
	safes         *safe.Service
	resources     *resource.Service
	accounts      *account.Service
	checkouts     *checkout.Service
	confirmations *confirmation.Service
	groups        *usergroup.Service
	provisioning  *provisioning.Service
	outbox        *outbox.Service
	webhooks      *webhook.Service
	invitations   *invitation.Service
	sso           *sso.Service
	rules         *rulebook.Books
	policies      *rulebook.Service
	reviews       *review.Service
	requests      *request.Service
	sessions      *session.Service
	recordings    *recording.Service
	audit         *audit.Log
	broker        *broker.Broker
	rotations     *rotation.Service
	sshCA         *sshca.Service
	leases        *lease.Service
	limiter       *edge.RateLimiter // one for all edges: a login is a login
	gate          gate
	metrics       *metrics
	demo          *demo.Target // nil outside of dev mode
	firstRun      *credentials // of the owner made in this start, to be printed

	httpListener, sshListener net.Listener
}

// Run starts a server and serves until ctx ends. Messages for the person who
// started it go to stdout, the log to stderr.
func Run(ctx context.Context, cfg Config, version string, stdout, stderr io.Writer) error {
	if err := errors.Join(cfg.complete(), noDumps()); err != nil {
		return err
	}
	s := &Server{cfg: cfg, version: version, out: stdout, clock: clock.Real{}}
	s.ids = ids.NewSource(s.clock, rand.Reader)
	var err error
	if s.log, err = newLogger(cfg, stderr); err != nil {
		return err
	}
	if err := s.open(ctx, cfg.Dev); err != nil {
		return err
	}
	defer func() {
		s.vault.Lock()
		if err := s.db.Close(); err != nil {
			s.log.Error("database not closed", "error", err)
		}
	}()
	if err := s.assemble(); err != nil {
		return err
	}
	if err := s.listen(); err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		_ = s.httpListener.Close()
		_ = s.sshListener.Close()
		return err
	}
	return s.serve(ctx)
}

func newLogger(cfg Config, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, fmt.Errorf("--log-level %s: debug, info, warn or error", cfg.LogLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch cfg.LogFormat {
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return nil, fmt.Errorf("--log-format %s: text or json", cfg.LogFormat)
}

// open opens the store and the vault. With create it makes the vault of an
// empty installation.
func (s *Server) open(ctx context.Context, create bool) error {
	if err := os.MkdirAll(s.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	var err error
	options := store.Options{DataDir: s.cfg.DataDir, DatabaseURL: s.cfg.DatabaseURL, Clock: s.clock, Logger: s.log}
	if s.cfg.DatabaseURL != "" {
		options.DataDir = ""
	}
	if s.db, err = store.Open(ctx, options); err != nil {
		return err
	}
	if err := s.openVault(ctx, create); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// assemble builds the services from the bottom up.
func (s *Server) assemble() error {
	s.scribe = audit.NewScribe(s.clock, s.ids)
	passwords, err := identity.NewPasswords(identity.HashParams{
		MemoryKiB: s.cfg.Argon2MemoryKiB, Time: s.cfg.Argon2Time, Parallelism: s.cfg.Argon2Parallelism, Concurrency: s.cfg.HashConcurrency,
	}, rand.Reader)
	if err != nil {
		return err
	}
	events := s.db.Audit()
	s.identity = identity.New(s.db, events, passwords, s.scribe, s.clock, s.ids, rand.Reader, s.log, identity.Options{
		LoginTTL: s.cfg.LoginTTL, ConsoleTTL: s.cfg.ConsoleTTL, ConsoleIdle: s.cfg.ConsoleIdle, Shared: s.cfg.DatabaseURL != "", Sealer: s.vault, Origin: s.url,
	})
	s.orgs = org.New(s.db, passwords, s.scribe, s.clock, s.ids)
	channels, err := s.channels()
	if err != nil {
		return err
	}
	s.outbox = outbox.New(outbox.Deps{
		Store: s.db, Sealer: s.vault, Sealed: s.sealed, Channels: channels, Scribe: s.scribe, Clock: s.clock, IDs: s.ids, Log: s.log,
	})
	s.orgs.Mail(org.Mailing{Links: s.identity, Post: s.outbox, URL: s.url})
	s.invitations = invitation.New(invitation.Deps{
		Store: s.db, Links: s.identity, Post: s.outbox, Passwords: passwords, URL: s.url, Scribe: s.scribe, Clock: s.clock, IDs: s.ids,
	})
	rules, err := s.cfg.outbound()
	if err != nil {
		return err
	}
	s.sso = sso.New(sso.Deps{
		Store: s.db, Sealer: s.vault, OIDC: providers{rules, oidc.New(rules, s.clock)}, SAML: samlProviders{rules, saml.New(rules, s.clock)}, LDAP: directories{ldap.New(rules)}, Brake: s.identity, URL: s.url, Counted: s.identity.Counted, Events: events, Observe: func(what string, err error) { s.metrics.vouched(what, err) }, ValidScope: identity.ValidScope,
		Scribe: s.scribe, Clock: s.clock, IDs: s.ids, Rand: rand.Reader,
	})
	s.webhooks = webhook.New(webhook.Deps{
		Store: s.db, Log: events, Post: hook.New(rules), Sealer: s.vault, Sealed: s.sealed, URL: s.url, Observe: func(d pam.DeliveryStatus) { s.metrics.told(d) },
		Scribe: s.scribe, Clock: s.clock, IDs: s.ids, Rand: rand.Reader, Logger: s.log,
	})
	s.safes = safe.New(s.db, s.scribe, s.clock, s.ids)
	s.resources = resource.New(s.db, s.scribe, s.clock, s.ids)
	s.accounts = account.New(s.db, s.vault, s.scribe, s.clock, s.ids)
	s.checkouts = checkout.New(counted{s.db, s}, s.safes, s.scribe, s.clock)
	s.rules = rulebook.NewBooks(s.db, s.cfg.DatabaseURL != "", s.log)
	s.policies = rulebook.New(s.db, s.rules, s.scribe, s.clock, s.ids)
	s.confirmations = confirmation.New(s.db, s.scribe, s.clock, s.ids)
	s.groups = usergroup.New(s.db, s.scribe, s.clock, s.ids)
	s.provisioning = provisioning.New(provisioning.Deps{Store: s.db, Tokens: s.identity, Events: events, Scribe: s.scribe, Clock: s.clock, IDs: s.ids})
	s.requests = request.New(request.Deps{Store: s.db, Access: s.db.RequestAccess(s.rules.Rules), Sealer: s.vault, Scribe: s.scribe, Clock: s.clock, IDs: s.ids, Letters: s.requestLetters})
	s.reviews = review.New(review.Deps{Store: s.db, Decider: decider{s.policies}, Scribe: s.scribe, Clock: s.clock, IDs: s.ids})
	s.sessions = session.New(session.Deps{Store: s.db, Access: s.db, Scribe: s.scribe, Clock: s.clock, Log: s.log})
	s.sshCA = s.newSSHCA()
	s.audit = audit.NewLog(events, s.vault, s.scribe, s.clock)
	blobs, err := blobfs.Open(s.cfg.Recordings, int64(s.cfg.SpaceReserveMiB)<<20)
	if err != nil {
		return fmt.Errorf("recordings directory: %w", err)
	}
	s.recordings = recording.New(recording.Deps{
		Store: s.db, Blobs: blobs, Sealer: s.vault, Signer: s.vault, Events: events, Scribe: s.scribe, Access: s.safes,
		Clock: s.clock, Rand: rand.Reader, Log: s.log,
	})
	limits, err := edge.ParseLimits(s.cfg.RateLimits)
	if err != nil {
		return err
	}
	s.limiter = edge.NewRateLimiter(limits, s.clock)
	s.metrics = newMetrics(s)
	s.db.Subscribe(s.identity.Changed)
	s.db.Subscribe(s.rules.Changed)
	s.db.Subscribe(s.keysChanged)
	return nil
}

// assembleBroker needs to know where the server listens: nobody reaches the
// server through itself.
func (s *Server) assembleBroker() error {
	allow, err := s.cfg.localAllow()
	if err != nil {
		return err
	}
	rules := broker.LocalRules{Allow: allow, Dev: s.cfg.Dev}
	for _, ln := range []net.Listener{s.httpListener, s.sshListener} {
		if a, ok := ln.Addr().(*net.TCPAddr); ok {
			rules.Own = append(rules.Own, a.AddrPort())
		}
	}
	s.broker = broker.New(broker.Deps{
		Store: counted{s.db, s}, Secrets: s.db, Actors: s.identity, Policies: s.rules, Sealer: s.vault, Issuer: s.sshCA, Leases: laterLeases{s}, Makers: makers(), Sealed: s.sealed,
		Recordings: s.recordings, Audit: s.db.Audit(), Scribe: s.scribe, Dialer: s.dialer(rules),
		Targets: targets(), IDs: s.ids, Clock: s.clock, Log: s.log, Decided: s.metrics.decided, Alarm: s.emergencyLetters,
	})
	s.db.Subscribe(s.broker.Changed)
	s.assembleRotations()
	s.assembleLeases()
	return nil
}

// api serves what needs no open vault until it is given what does.
func (s *Server) api(digestKey secret.Value, terminals httpapi.Terminal) *httpapi.API {
	return httpapi.New(httpapi.Deps{
		Version: s.version, Clock: s.clock, IDs: s.ids, Log: s.log, Proxies: s.cfg.proxies(), Limiter: s.limiter, HSTS: s.cfg.tls(), PublicURL: s.cfg.PublicURL, Console: web.FS(),
		Identity: s.identity, Orgs: s.orgs, Safes: s.safes, Resources: s.resources, Accounts: s.accounts, Imports: account.NewImporter(s.accounts, importPlaces{s.resources}), Checkouts: s.checkouts,
		Confirmations: s.confirmations, Groups: s.groups, Invitations: s.invitations, SSO: s.sso, Policies: s.policies, Reviews: s.reviews, Requests: s.requests, Sessions: s.sessions, Recordings: s.recordings, Audit: s.audit, Stats: stats.New(s.db, s.clock), Webhooks: s.webhooks, Outbox: s.outbox, Broker: s.broker, Rotations: s.rotations, SSHCA: s.sshCA, Leases: s.leases, Terminal: terminals,
		Provisioning: s.provisioning,
		Vault:        vaultAdmin{s}, Idempotency: s.db.Idempotency(), Labels: s.db.Labels, DigestKey: digestKey, SSHCommand: s.sshCommand, Ready: s.ready, Observe: s.metrics.observe,
		Metrics: s.metrics.handler(s.cfg.MetricsToken),
	})
}

func (s *Server) sshServer() *sshproxy.Server {
	return sshproxy.New(sshproxy.Deps{
		Identity: s.identity, Door: s.broker, Approvals: approvals{s}, HostKeys: s.gate.hostKeys, Sealed: s.sealed, Proxies: s.cfg.proxies(),
		Limiter: s.limiter, Log: s.log, URL: s.url,
	})
}

// listen takes the addresses before anything is changed, so that a port in
// use is said at once.
func (s *Server) listen() error {
	var err error
	if s.httpListener, err = net.Listen("tcp", s.cfg.Listen); err != nil {
		return fmt.Errorf("--listen %s: %w", s.cfg.Listen, err)
	}
	if s.sshListener, err = net.Listen("tcp", s.cfg.SSHListen); err != nil {
		return errors.Join(fmt.Errorf("--ssh-listen %s: %w", s.cfg.SSHListen, err), s.httpListener.Close())
	}
	return s.assembleBroker()
}

// Limits on connections of the API.
const (
	maxConnections = 4096
	maxPerSource   = 1024
)

// serve runs until ctx ends, then stops in order: no new requests and
// sessions, live sessions told and closed, jobs done, listeners gone.
func (s *Server) serve(ctx context.Context) error {
	sealedAPI := s.api(secret.Value{}, nil)
	s.gate.serve(s.withSCIM(sealedAPI))
	api := sealedAPI.Server()
	api.Handler = &s.gate
	tlsConfig, acme, err := s.tlsConfig()
	if err != nil {
		return err
	}
	ln := edge.LimitListener(s.httpListener, maxConnections, maxPerSource, s.cfg.proxies())
	api.TLSConfig = tlsConfig
	metricsServer, metricsListener, err := s.metricsServer()
	if err != nil {
		return err
	}
	// Whatever is in the way was said by now: this tells people to come.
	if !s.vault.Status().Sealed {
		if err := s.begin(ctx); err != nil {
			return err
		}
	}

	// jobs outlive the listeners: ends of sessions are still to be written.
	jobs, stopJobs := context.WithCancel(context.WithoutCancel(ctx))
	defer stopJobs()
	group := newGroup(ctx)
	background := newGroup(jobs)
	background.run("broker", func(ctx context.Context) error { s.broker.Run(ctx); return nil })
	background.run("recall", func(ctx context.Context) error { s.broker.RunRecall(ctx); return nil })
	background.run("identity", s.identity.Run)
	background.run("jobs", s.jobs)
	background.run("vault keys", s.turnKeys)
	background.run("providers", s.readProviders)
	background.run("outbox", s.outbox.Run)
	background.run("webhooks", s.webhooks.Run)
	background.run("rotations", s.rotations.Run)
	background.run("leases", s.revokeLeases)
	background.run("leftover users", s.sweepLeases)
	background.run("memory", giveBack)
	background.run("vault", s.reopen)
	background.run("seal", s.renew)
	if s.demo != nil {
		background.run("demo target", s.demo.Run)
	}
	group.run("API", func(ctx context.Context) error {
		if api.TLSConfig != nil {
			return serveHTTP(ctx, api, func() error { return api.ServeTLS(ln, "", "") }, s.cfg.DrainTimeout)
		}
		return serveHTTP(ctx, api, func() error { return api.Serve(ln) }, s.cfg.DrainTimeout)
	})
	if acme != nil {
		group.run("ACME", acme)
	}
	if metricsServer != nil {
		group.run("metrics", func(ctx context.Context) error {
			return serveHTTP(ctx, metricsServer, func() error { return metricsServer.Serve(metricsListener) }, time.Second)
		})
	}
	group.run("SSH", func(ctx context.Context) error {
		go func() { // ends soon after ctx: its own deadline bounds it
			<-ctx.Done()
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
			defer cancel()
			if err := s.broker.Drain(drain); err != nil {
				s.log.Warn("sessions were cut", "error", err)
			}
		}()
		return s.sshServer().Serve(ctx, s.sshListener)
	})
	floor := settle()
	err = group.wait()
	runtime.KeepAlive(floor)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
	defer cancel()
	err = errors.Join(err, s.broker.Drain(drain))
	if terminals := s.gate.term.Load(); terminals != nil {
		terminals.Wait(drain)
	}
	s.note(drain, audit.ServerStopped)
	stopJobs()
	return errors.Join(err, background.wait())
}

// serveHTTP serves until ctx ends, then lets requests under way finish.
func serveHTTP(ctx context.Context, srv *http.Server, serve func() error, patience time.Duration) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		err := srv.Shutdown(drain)
		if errors.Is(err, context.DeadlineExceeded) {
			err = srv.Close()
		}
		stopped <- err
	})
	err := serve()
	if stop() { // ctx has not ended: serving failed
		return err
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
