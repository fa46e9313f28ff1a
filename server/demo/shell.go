package demo

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"sync"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
)

// shell is the program that a session gets, and as whom it runs.
type shell struct {
	path       string
	credential *syscall.Credential // nil: as whoever runs the server
}

// findShell takes bash, else sh; as nobody when this process is root.
func findShell() shell {
	s := shell{path: "/bin/sh"}
	if p, err := exec.LookPath("bash"); err == nil {
		s.path = p
	}
	if os.Geteuid() != 0 {
		return s
	}
	s.credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	if u, err := user.Lookup("nobody"); err == nil {
		if uid, err := strconv.ParseUint(u.Uid, 10, 32); err == nil {
			s.credential.Uid = uint32(uid)
		}
		if gid, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
			s.credential.Gid = uint32(gid)
		}
	}
	return s
}

// environment allowed from the client, beside LC_*.
var allowedEnv = map[string]bool{"LANG": true, "TERM": true, "COLORTERM": true}

// Payloads of the requests of RFC 4254 section 6.
type (
	ptyRequest struct {
		Term                string
		Cols, Rows, WPx, HP uint32
		Modes               string
	}
	windowChange struct{ Cols, Rows, WPx, HPx uint32 }
	envRequest   struct{ Name, Value string }
	execRequest  struct{ Command string }
	signalName   struct{ Name string }
	exitStatus   struct{ Code uint32 }
	exitSignal   struct {
		Name          string
		Core          bool
		Message, Lang string
	}
)

var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "KILL": syscall.SIGKILL,
	"TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

// session serves one channel: at most one program.
func (s shell) session(ch ssh.Channel, reqs <-chan *ssh.Request) error {
	var size *pty.Winsize
	env := []string{"LANG=C.UTF-8", "HOME=/tmp", "PATH=/usr/local/bin:/usr/bin:/bin", "SHELL=" + s.path, "USER=nobody"}
	for req := range reqs {
		ok := false
		switch req.Type {
		case "env":
			var e envRequest
			if ssh.Unmarshal(req.Payload, &e) == nil && (allowedEnv[e.Name] || len(e.Name) > 3 && e.Name[:3] == "LC_") {
				env, ok = append(env, e.Name+"="+e.Value), true
			}
		case "pty-req":
			var p ptyRequest
			if ssh.Unmarshal(req.Payload, &p) == nil {
				size = &pty.Winsize{Cols: uint16(p.Cols), Rows: uint16(p.Rows)}
				env, ok = append(env, "TERM="+p.Term), true
			}
		case "shell", "exec":
			args := []string{"-l"}
			if req.Type == "exec" {
				var e execRequest
				if ssh.Unmarshal(req.Payload, &e) != nil {
					_ = req.Reply(false, nil)
					continue
				}
				args = []string{"-c", e.Command}
			}
			_ = req.Reply(true, nil)
			return s.run(ch, reqs, args, env, size)
		}
		if req.WantReply {
			_ = req.Reply(ok, nil)
		}
	}
	return io.EOF
}

// run starts the program and reports its end.
func (s shell) run(ch ssh.Channel, reqs <-chan *ssh.Request, args, env []string, size *pty.Winsize) error {
	cmd := exec.Command(s.path, args...)
	cmd.Env, cmd.Dir = env, "/tmp"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential, Setsid: true}
	var wait func() error
	var terminal *os.File
	if size != nil {
		cmd.SysProcAttr.Setctty = true
		f, err := pty.StartWithAttrs(cmd, size, cmd.SysProcAttr)
		if err != nil {
			return fail(ch, err)
		}
		defer f.Close()
		terminal, wait = f, pumpPTY(ch, f, cmd)
	} else {
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return fail(ch, err)
		}
		cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
		if err := cmd.Start(); err != nil {
			return fail(ch, err)
		}
		go func() { // ends when the channel or the program's input closes
			_, _ = io.Copy(stdin, ch)
			_ = stdin.Close()
		}()
		wait = cmd.Wait
	}
	done := make(chan struct{})
	var control sync.WaitGroup
	control.Go(func() {
		for {
			select {
			case <-done:
				return
			case req, open := <-reqs:
				if !open { // the client is gone: so is its program
					_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP)
					_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
					return
				}
				s.control(req, cmd, terminal)
			}
		}
	})
	err := wait()
	close(done)
	control.Wait()
	return report(ch, err)
}

func (s shell) control(req *ssh.Request, cmd *exec.Cmd, terminal *os.File) {
	ok := false
	switch req.Type {
	case "window-change":
		var w windowChange
		if terminal != nil && ssh.Unmarshal(req.Payload, &w) == nil {
			ok = pty.Setsize(terminal, &pty.Winsize{Cols: uint16(w.Cols), Rows: uint16(w.Rows)}) == nil
		}
	case "signal":
		var name signalName
		if ssh.Unmarshal(req.Payload, &name) == nil {
			if sig, known := signals[name.Name]; known {
				ok = syscall.Kill(-cmd.Process.Pid, sig) == nil
			}
		}
	}
	if req.WantReply {
		_ = req.Reply(ok, nil)
	}
}

func pumpPTY(ch ssh.Channel, f *os.File, cmd *exec.Cmd) func() error {
	go func() { _, _ = io.Copy(f, ch) }() // ends when the channel closes
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(ch, f) // ends with EIO once the last process has left the terminal
		close(drained)
	}()
	return func() error {
		err := cmd.Wait()
		<-drained
		return err
	}
}

func fail(ch ssh.Channel, err error) error {
	fmt.Fprintf(ch.Stderr(), "demo target: %v\r\n", err)
	_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(exitStatus{127}))
	return err
}

// report sends exit-status or exit-signal (RFC 4254 section 6.10).
func report(ch ssh.Channel, err error) error {
	code := uint32(0)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status, _ := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			name := "KILL"
			for n, sig := range signals {
				if sig == status.Signal() {
					name = n
				}
			}
			_, err = ch.SendRequest("exit-signal", false, ssh.Marshal(exitSignal{Name: name}))
			return err
		}
		code = uint32(exit.ExitCode())
	} else if err != nil {
		code = 1
	}
	_, err = ch.SendRequest("exit-status", false, ssh.Marshal(exitStatus{code}))
	return err
}
