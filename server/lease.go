package server

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/lease"
	"vaultpam/pam/resource"
	"vaultpam/target/mysqltarget"
	"vaultpam/target/pgtarget"
	"vaultpam/target/redistarget"
	"vaultpam/target/sqltemplate"
)

// Who makes users for the time of a checkout. A maker adapts one package of the
// target room; it decides nothing.

func makers() map[pam.Protocol]broker.Maker {
	return map[pam.Protocol]broker.Maker{pam.PostgreSQL: pgMaker{}, pam.MySQL: mysqlMaker{}, pam.Redis: redisMaker{}}
}

// laterLeases breaks the circle between the broker and leases, which need one
// another.
type laterLeases struct{ s *Server }

func (l laterLeases) Begin(ctx context.Context, a pam.Actor, in lease.Lease, password secret.Value) (lease.Lease, error) {
	return l.s.leases.Begin(ctx, a, in, password)
}

func (s *Server) assembleLeases() {
	s.leases = lease.New(lease.Deps{
		Store: s.db, Door: s.broker, Access: s.safes, Sealed: func() bool { return s.vault.Status().Sealed }, Scribe: s.scribe, Clock: s.clock, IDs: s.ids, Log: s.log,
	})
}

// revokeLeases drops users again and again, until ctx ends. It does not share
// the turn of the other jobs: a target that hangs must not hold those up.
func (s *Server) revokeLeases(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var turns sync.WaitGroup
	defer turns.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		// A turn may take a minute, where a target hangs; the next does not wait.
		turns.Go(func() { s.try(ctx, "revoke leases", s.leases.RevokeDue) })
	}
}

// sweepEvery is how often targets are asked for users that no lease knows.
const sweepEvery = time.Hour

// sweepLeases asks them, for the first time when the vault is open: users are
// forgotten where a backup was restored, which is followed by a start.
func (s *Server) sweepLeases(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var swept time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if now := s.clock.Now(); now.Sub(swept) >= sweepEvery && !s.vault.Status().Sealed {
			swept = now
			s.try(ctx, "look for leftover users", s.leases.SweepAll)
		}
	}
}

// leaseMetrics are read from the database when they are asked for.
func (s *Server) leaseMetrics() []prometheus.Collector {
	gauge := func(name, help string, pick func(open, stuck int64) int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			open, stuck, err := s.db.CountLeases(context.Background())
			if err != nil {
				return -1
			}
			return float64(pick(open, stuck))
		})
	}
	return []prometheus.Collector{
		gauge("vaultpam_lease_open", "Users at targets that are to be gone again; -1: not known.", func(open, _ int64) int64 { return open }),
		gauge("vaultpam_lease_stuck", "Those that could not be dropped after many attempts; -1: not known.", func(_, stuck int64) int64 { return stuck }),
	}
}

// expand fills templates in. They are the manager's; a mistake in them is told
// without what they would have become.
func expand(templates []string, v sqltemplate.Values) ([]string, error) {
	out := make([]string, 0, len(templates))
	for _, t := range templates {
		s, err := sqltemplate.Expand(t, v)
		if err != nil {
			return nil, &pam.Error{Kind: pam.Conflict, Op: "fill in statement", Public: "A statement of the account cannot be filled in: " + err.Error() + "."}
		}
		out = append(out, s)
	}
	return out, nil
}

func or(given, standard []string) []string {
	if len(given) > 0 {
		return given
	}
	return standard
}

// What is said where the account says nothing: docs/ephemeral.md explains it.
// Before a user is dropped it is locked and its sessions end, whatever the
// account says, so that a drop which fails leaves nobody in.
// Nothing is ever reassigned to who runs this: a view or a function acts with
// the rights of its owner, and whoever made it would have waited for them.
var (
	pgCreate    = []string{`CREATE ROLE {{name}} LOGIN CONNECTION LIMIT 10 PASSWORD {{password}} VALID UNTIL {{expires_at}}`}
	pgRevoke    = []string{`DROP OWNED BY {{name}}`, `DROP ROLE {{name}}`}
	mysqlRevoke = []string{`DROP USER {{name}}@'%'`}
)

type pgMaker struct{}

// Create implements broker.Maker.
func (pgMaker) Create(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, u broker.NewUser) error {
	verifier, err := pgtarget.Verifier(u.Password)
	if err != nil {
		return err
	}
	defer verifier.Wipe()
	statements, err := expand(or(u.Spec.CreateStatements, pgCreate), sqltemplate.Values{Name: u.Name, Password: verifier, ExpiresAt: u.ExpiresAt})
	if err != nil {
		return err
	}
	return sqlFaults.of(pgtarget.Run(ctx, conn, postgresEngine.options(r, as), statements))
}

// Drop implements broker.Maker.
func (pgMaker) Drop(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, u broker.NewUser) error {
	statements, err := expand(or(u.Spec.RevokeStatements, pgRevoke), sqltemplate.Values{Name: u.Name, ExpiresAt: u.ExpiresAt})
	if err != nil {
		return err
	}
	return sqlFaults.of(pgtarget.Revoke(ctx, conn, postgresEngine.options(r, as), u.Name, statements))
}

// Names implements broker.Maker.
func (pgMaker) Names(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, prefix string) ([]string, error) {
	names, err := pgtarget.List(ctx, conn, postgresEngine.options(r, as), prefix)
	return names, sqlFaults.of(err)
}

type mysqlMaker struct{}

// Create implements broker.Maker. Where a template takes a hash, the password
// itself does not leave; it does only over TLS that was verified.
func (m mysqlMaker) Create(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, u broker.NewUser) error {
	if len(u.Spec.CreateStatements) == 0 {
		return pam.Errorf(pam.Conflict, "fill in statement", "The account needs create_statements: they differ between MySQL and MariaDB.")
	}
	o := mysqlEngine.options(r, as)
	v := sqltemplate.Values{MySQL: true, Name: u.Name, Password: u.Password, ExpiresAt: u.ExpiresAt}
	if strings.Contains(strings.Join(u.Spec.CreateStatements, " "), "mysql_native_password") {
		v.Password = secret.FromString(mysqltarget.Hash(u.Password))
		defer v.Password.Wipe()
	} else if !o.TLS.Verified() {
		return pam.Errorf(pam.Conflict, "fill in statement", "A password itself is sent over verified TLS alone.")
	}
	statements, err := expand(u.Spec.CreateStatements, v)
	if err != nil {
		return err
	}
	return sqlFaults.of(mysqltarget.Run(ctx, conn, o, statements))
}

// Drop implements broker.Maker.
func (mysqlMaker) Drop(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, u broker.NewUser) error {
	statements, err := expand(or(u.Spec.RevokeStatements, mysqlRevoke), sqltemplate.Values{MySQL: true, Name: u.Name, ExpiresAt: u.ExpiresAt})
	if err != nil {
		return err
	}
	return sqlFaults.of(mysqltarget.Revoke(ctx, conn, mysqlEngine.options(r, as), u.Name, statements))
}

// Names implements broker.Maker.
func (mysqlMaker) Names(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, prefix string) ([]string, error) {
	names, err := mysqltarget.List(ctx, conn, mysqlEngine.options(r, as), prefix)
	return names, sqlFaults.of(err)
}

type redisMaker struct{}

// Create implements broker.Maker.
func (redisMaker) Create(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, u broker.NewUser) error {
	if len(u.Spec.Rules) == 0 {
		return pam.Errorf(pam.Conflict, "make user", "The account needs rules: without them its users may do nothing.")
	}
	return redisFaults.of(redistarget.CreateUser(ctx, conn, redisEngine{}.options(r, as), u.Name, u.Spec.Rules, u.Password))
}

// Drop implements broker.Maker.
func (redisMaker) Drop(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, u broker.NewUser) error {
	return redisFaults.of(redistarget.DropUser(ctx, conn, redisEngine{}.options(r, as), u.Name))
}

// Names implements broker.Maker.
func (redisMaker) Names(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, prefix string) ([]string, error) {
	names, err := redistarget.List(ctx, conn, redisEngine{}.options(r, as), prefix)
	return names, redisFaults.of(err)
}
