// Command vaultpam is the server and the command line of VaultPAM.
//
// It owns the words that a person types and reads. `server` and `init` call
// the server package; what works offline reads files; every other command
// speaks to a server through the client package. Start at [root].
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"vaultpam/client"
)

// version is set by the linker.
var version = "dev"

// Exit codes, also printed by `vaultpam help exit-codes`.
const (
	exitOK          = 0
	exitFailed      = 1 // something went wrong
	exitUsage       = 2 // the command line cannot be understood
	exitLogin       = 3 // not signed in, or the login has ended
	exitDenied      = 4 // known, but not allowed
	exitNotFound    = 5
	exitConflict    = 6 // at odds with the present state
	exitUnavailable = 7 // the server cannot be reached, or cannot answer now
)

const exitHelp = `0  done
1  something went wrong, or a verification failed
2  the command line cannot be understood
3  not signed in, or the login has ended: vaultpam login
4  not allowed, or the Safe is locked
5  there is no such object
6  at odds with the present state
7  the server cannot be reached, or cannot answer now
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	app := &app{}
	cmd := root(app)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case !app.understood:
		err = usageError{err}
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	fmt.Fprintln(os.Stderr, "vaultpam:", err)
	return codeOf(err)
}

// exitCode ends the program with a status and nothing more to say.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usageError is a command line that a command cannot understand. What cobra
// does not understand never gets to a command.
type usageError struct{ error }

func codeOf(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*client.Unreachable](err); ok {
		return exitUnavailable
	}
	refusal, ok := errors.AsType[*client.Error](err)
	if !ok {
		return exitFailed
	}
	switch refusal.Status {
	case http.StatusUnauthorized:
		return exitLogin
	case http.StatusForbidden, http.StatusLocked:
		return exitDenied
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity:
		return exitConflict
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return exitUnavailable
	}
	return exitFailed
}

func root(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "vaultpam",
		Short:         "Privileged access: who may reach what, the reaching, and the proof of it",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if app.output != "table" && app.output != "json" {
				return fmt.Errorf("-o %s: only table and json are understood", app.output)
			}
			app.understood = true
			return nil
		},
	}
	cmd.PersistentFlags().StringVarP(&app.output, "output", "o", "table", "table or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.AddCommand(
		serverCommand(), initCommand(), openapiCommand(),
		app.loginCommand(), app.logoutCommand(), app.whoamiCommand(), app.passwordCommand(), app.mfaCommand(),
		app.safesCommand(), app.resourcesCommand(), app.accountsCommand(), app.policiesCommand(), app.canCommand(),
		app.requestCommand(), app.requestsCommand(), app.decisionCommand("approve", "Agree to an access request, or to less time"), app.decisionCommand("reject", "Reject an access request"), app.grantsCommand(),
		app.accessCommand(), app.reviewsCommand(), app.membersCommand(), app.groupsCommand(), app.invitationsCommand(),
		app.ssoCommand(), app.workloadRulesCommand(), app.scimCommand(), app.webhooksCommand(), app.notificationsCommand(), app.organizationsCommand(),
		app.sshCommand(), app.checkoutCommand(), app.checkoutsCommand("checkouts"), app.breakGlassCommand(), app.rotationsCommand(), app.leasesCommand(), app.sshCACommand(), app.credentialHealthCommand(), app.sessionsCommand(), app.recordingsCommand(),
		app.auditCommand(), app.tokensCommand(), app.keysCommand(), app.vaultCommand(),
		&cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Args: cobra.NoArgs, Run: func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), exitHelp) }},
	)
	return cmd
}

// args wraps a check of the arguments, so that a wrong number shows what is right.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return fmt.Errorf("%w\nusage: %s", err, cmd.UseLine())
		}
		return nil
	}
}
