package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is a PostgreSQL server that listens on a Unix socket in a directory
// of its own.
type server struct {
	dir      string
	postgres string // the program
	attr     *syscall.SysProcAttr
	args     []string
	cmd      *exec.Cmd // nil while it does not run
}

var (
	serverMu sync.Mutex // guards shared and sharedErr
	shared   *server
	errStart error
)

func startServer() (*server, error) {
	serverMu.Lock()
	defer serverMu.Unlock()
	if shared == nil && errStart == nil {
		// Nobody kills it, and half of what a write takes is its fsync.
		shared, errStart = newServer("-c", "fsync=off")
	}
	return shared, errStart
}

func stopServer() {
	serverMu.Lock()
	defer serverMu.Unlock()
	if shared != nil {
		shared.stop()
		shared = nil
	}
}

func newServer(args ...string) (_ *server, err error) {
	initdb, err := program("initdb")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "storetest")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, args: args}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	attr, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	c := exec.Command(initdb, "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	c.SysProcAttr, c.Dir = attr, dir
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	s.postgres, s.attr = filepath.Join(filepath.Dir(initdb), "postgres"), attr
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, nil
}

// start starts the server on its data and waits until it answers.
func (s *server) start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.postgres, "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=300")
	s.cmd.Args = append(s.cmd.Args, s.args...)
	s.cmd.SysProcAttr, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.attr, s.dir, log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err = s.exec(context.Background(), "SELECT 1"); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("it does not answer: %w: %s", err, text)
		}
	}
}

// program finds a program of PostgreSQL where distributions keep it.
func program(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return filepath.EvalSymlinks(p)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return "", errors.New(name + " is not installed")
	}
	slices.Sort(found)
	return found[len(found)-1], nil
}

// unprivileged makes the server run as the user postgres when the tests run as
// root, because it refuses root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func (s *server) address(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {s.dir}, "user": {"postgres"}, "sslmode": {"disable"}}.Encode()
}

func (s *server) create(ctx context.Context, database string) error {
	return s.exec(ctx, "CREATE DATABASE "+database)
}

func (s *server) exec(ctx context.Context, text string) error {
	c, err := pgx.Connect(ctx, s.address("postgres"))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, text)
	return err
}

// kill ends the server at once, as a crash does: what had committed is replayed
// from its log at the next start.
func (s *server) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// stop ends the server for good.
func (s *server) stop() {
	s.kill()
	_ = os.RemoveAll(s.dir)
}
