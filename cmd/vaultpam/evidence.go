package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
	"vaultpam/pam/audit"
	"vaultpam/pam/recording"
)

func (a *app) sshCommand() *cobra.Command {
	var account, resource, reason string
	var emergency bool
	cmd := &cobra.Command{
		Use: "ssh SAFE [-- SSH ARGUMENTS]", Short: "Open a session with the ssh client of this machine", Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if err := warnOfEmergency(cmd, emergency, reason); err != nil {
				return err
			}
			var launch v1.Launch
			err := a.within(cmd, place{argv[0], account, resource}, emergency, func(c *client.Client, at place) error {
				var err error
				launch, err = client.Post[v1.Launch](cmd.Context(), c, "/sessions", v1.SessionIn{SafeID: at.safe, AccountID: at.account, ResourceID: at.resource, Reason: reason, Emergency: emergency})
				return err
			})
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(cmd.OutOrStdout(), launch)
			}
			return runSSH(launch, argv[1:])
		},
	}
	cmd.Flags().StringVar(&account, "account", "", "id or slug, where the Safe has several")
	cmd.Flags().StringVar(&resource, "resource", "", "id or slug, where the Safe has several")
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().BoolVar(&emergency, "emergency", false, emergencyUsage)
	return cmd
}

// runSSH becomes the ssh client.
func runSSH(launch v1.Launch, more []string) error {
	words, err := sshArguments(launch.Command)
	if err != nil {
		return err
	}
	path, err := exec.LookPath("ssh")
	if err != nil {
		return errors.New("there is no ssh client on this machine")
	}
	// Before the --: our user's own options. After the destination: a command.
	options, command := more, []string(nil)
	for i, m := range more {
		if !strings.HasPrefix(m, "-") && (i == 0 || !takesValue(more[i-1])) {
			options, command = more[:i], more[i:]
			break
		}
	}
	last := len(words) - 2 // "--" and the destination
	args := append(append([]string{}, words[:last]...), options...)
	args = append(append(args, words[last:]...), command...)
	return syscall.Exec(path, args, os.Environ())
}

// takesValue says whether an option of ssh is followed by its value.
func takesValue(option string) bool {
	return len(option) == 2 && strings.ContainsAny(option[1:], "BbcDEeFIiJLlmOoPpQRSWw")
}

// sshArguments reads the command that the server proposes: the ssh client, a
// port and a destination. Anything more, such as an option that runs a
// program here, is not the server's to say.
func sshArguments(command string) ([]string, error) {
	words, err := splitCommand(command)
	if err != nil || len(words) != 4 || words[0] != "ssh" || words[1] != "-p" || strings.HasPrefix(words[3], "-") {
		return nil, fmt.Errorf("the server's command %q is not one that this client runs", printable(command))
	}
	if _, err := strconv.ParseUint(words[2], 10, 16); err != nil {
		return nil, fmt.Errorf("the server's command %q is not one that this client runs", printable(command))
	}
	return []string{"ssh", "-p", words[2], "--", words[3]}, nil
}

// splitCommand reads words, single-quoted words, and single quotes behind a
// backslash between these.
func splitCommand(s string) ([]string, error) {
	var words []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " ") {
		var word strings.Builder
		for s != "" && s[0] != ' ' {
			if s[0] == '\'' {
				inner, rest, ok := strings.Cut(s[1:], "'")
				if !ok {
					return nil, errors.New("unbalanced quote")
				}
				word.WriteString(inner)
				s = rest
				continue
			}
			s = strings.TrimPrefix(s, `\`)
			if s == "" {
				return nil, errors.New("nothing behind the backslash")
			}
			word.WriteByte(s[0])
			s = s[1:]
		}
		words = append(words, word.String())
	}
	return words, nil
}

func (a *app) sessionsCommand() *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "sessions", Short: "List sessions", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/sessions", query("status", status),
				col("ID", func(s v1.Session) string { return s.ID }), col("STATUS", func(s v1.Session) string { return s.Status }),
				col("USER", func(s v1.Session) string { return cmp.Or(s.UserEmail, s.UserID) }), col("SAFE", func(s v1.Session) string { return cmp.Or(s.SafeName, s.SafeID) }),
				col("STARTED", func(s v1.Session) string { return when(s.StartedAt) }), col("END", func(s v1.Session) string { return s.EndReason }),
				col("RECORDING", func(s v1.Session) string { return s.RecordingID }))
		}),
	}
	cmd.Flags().StringVar(&status, "status", "", "pending, active, ended or failed")
	cmd.AddCommand(&cobra.Command{
		Use: "terminate ID [REASON]", Short: "End a session now", Args: args(cobra.RangeArgs(1, 2)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			var in v1.TerminateIn
			if len(argv) == 2 {
				in.Reason = argv[1]
			}
			s, err := client.Post[v1.Session](cmd.Context(), c, "/sessions/"+url.PathEscape(argv[0])+"/terminate", in)
			return one(cmd, a, s, err)
		}),
	})
	return cmd
}

func (a *app) recordingsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "recordings", Short: "List recordings", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/recordings", nil,
				col("ID", func(r v1.Recording) string { return r.ID }), col("STATUS", func(r v1.Recording) string { return r.Status }),
				col("USER", func(r v1.Recording) string { return cmp.Or(r.UserEmail, r.UserID) }), col("SAFE", func(r v1.Recording) string { return cmp.Or(r.SafeName, r.SafeID) }),
				col("STARTED", func(r v1.Recording) string { return when(r.StartedAt) }),
				col("LENGTH", func(r v1.Recording) string { return (time.Duration(r.DurationMS) * time.Millisecond).String() }),
				col("BYTES", func(r v1.Recording) string { return fmt.Sprint(r.SizeBytes) }))
		}),
	}
	var speed float64
	var idle time.Duration
	play := &cobra.Command{
		Use: "play ID|FILE", Short: "Play a recording, or an asciicast file, in this terminal", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			var in io.ReadCloser
			var err error
			if strings.HasPrefix(argv[0], "rec_") {
				var c *client.Client
				if c, err = a.client(); err != nil {
					return err
				}
				in, err = c.Stream(cmd.Context(), "/recordings/"+url.PathEscape(argv[0])+"/content", nil)
			} else {
				in, err = os.Open(argv[0])
			}
			if err != nil {
				return err
			}
			defer in.Close()
			return recording.Play(cmd.Context(), in, cmd.OutOrStdout(), speed, idle)
		},
	}
	play.Flags().Float64Var(&speed, "speed", 1, "times the original speed")
	play.Flags().DurationVar(&idle, "idle-limit", 2*time.Second, "longest pause that is kept")
	verify := &cobra.Command{
		Use: "verify ID", Short: "Have a recording checked", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			v, err := client.Get[v1.RecordingVerification](cmd.Context(), c, "/recordings/"+url.PathEscape(argv[0])+"/verify", nil)
			if err := one(cmd, a, v, err); err != nil {
				return err
			}
			if !v.Verified {
				return exitCode(exitFailed)
			}
			return nil
		}),
	}
	cmd.AddCommand(play, verify, a.downloadCommand("download ID", "Write a recording as asciicast v2", func(id string) string { return "/recordings/" + id + "/content" }))
	return cmd
}

func (a *app) downloadCommand(use, short string, path func(string) string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			in, err := c.Stream(cmd.Context(), path(url.PathEscape(argv[0])), nil)
			if err != nil {
				return err
			}
			defer in.Close()
			_, err = io.Copy(cmd.OutOrStdout(), in)
			return err
		}),
	}
}

func (a *app) auditCommand() *cobra.Command {
	var typ, actor, target, from, to, text string
	var limit int
	cmd := &cobra.Command{
		Use: "audit", Short: "Read, export and verify the audit log", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			rows, err := client.Get[[]v1.AuditEvent](cmd.Context(), c, "/audit-events", query("type", typ, "actor_id", actor, "target_id", target, "from", from, "to", to, "q", text, "limit", fmt.Sprint(limit)))
			if err != nil {
				return err
			}
			return show(cmd, a, rows,
				col("TIME", func(e v1.AuditEvent) string { return when(e.Time) }), col("TYPE", func(e v1.AuditEvent) string { return e.Type }),
				col("ACTOR", func(e v1.AuditEvent) string { return e.Actor.Name }), col("TARGET", func(e v1.AuditEvent) string { return strings.TrimSpace(e.Target.Type + " " + e.Target.Name) }),
				col("FROM", func(e v1.AuditEvent) string { return e.SourceIP }))
		}),
	}
	cmd.Flags().StringVar(&typ, "type", "", "only this type, such as SESSION_STARTED")
	cmd.Flags().StringVar(&actor, "actor", "", "only what this user id did")
	cmd.Flags().StringVar(&target, "target", "", "only what was done to this id")
	cmd.Flags().StringVar(&from, "from", "", "RFC 3339 time of the oldest")
	cmd.Flags().StringVar(&to, "to", "", "RFC 3339 time after the newest")
	cmd.Flags().StringVar(&text, "text", "", "only events that hold this text")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many, newest first")
	cmd.AddCommand(a.exportCommand(), a.verifyCommand(), &cobra.Command{
		Use: "checkpoint", Short: "Print the log's signed checkpoint; keep it elsewhere", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			p, err := client.Get[v1.Checkpoint](cmd.Context(), c, "/audit-log/checkpoint", nil)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(cmd.OutOrStdout(), p)
			}
			fmt.Fprint(cmd.OutOrStdout(), p.Note)
			return nil
		}),
	})
	return cmd
}

func (a *app) exportCommand() *cobra.Command {
	var format, from, to string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the log to standard output, the signed checkpoint last", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return pour(cmd, c, "/audit-events/export", query("format", format, "from", from, "to", to))
		}),
	}
	cmd.Flags().StringVar(&format, "format", "ndjson", "ndjson or csv")
	cmd.Flags().StringVar(&from, "from", "", "RFC 3339 time of the first event")
	cmd.Flags().StringVar(&to, "to", "", "RFC 3339 time after the last event")
	return cmd
}

func (a *app) verifyCommand() *cobra.Command {
	var key, checkpoint string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check an exported log, without a server", Args: args(cobra.ExactArgs(1)),
		Long: "Check an exported log without a server: every event's hash, their order, the tree's root and the signatures. With --checkpoint, a checkpoint kept elsewhere, it also finds a log that was cut or rolled back. Exits with 1 and names the first bad place.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			f, err := os.Open(argv[0])
			if err != nil {
				return err
			}
			defer f.Close()
			opts := audit.VerifyOptions{Key: key}
			if checkpoint != "" {
				text, err := os.ReadFile(checkpoint)
				if err != nil {
					return err
				}
				opts.Checkpoint = string(text)
			}
			report, err := audit.Verify(f, opts)
			if err != nil {
				return fmt.Errorf("%s: %w", argv[0], err)
			}
			return one(cmd, a, report, nil)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "verifier key that the checkpoint must be signed by")
	cmd.Flags().StringVar(&checkpoint, "checkpoint", "", "file with a checkpoint kept elsewhere")
	return cmd
}
