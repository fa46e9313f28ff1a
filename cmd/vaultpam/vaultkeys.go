package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

func vaultKeysCommand(a *app) *cobra.Command {
	var in v1.KeyRotationIn
	var wait, show bool
	cmd := &cobra.Command{
		Use: "rotate-keys", Short: "Rotate the root key and the keys of organizations", Args: args(cobra.NoArgs),
		Long: "Make new keys and seal everything anew with them, while the server goes on. An old key goes an hour after nothing names it any more.\n" +
			"A rotation that is interrupted goes on by itself. Beginning one needs an administrator of the instance, and a fresh login.",
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			var r v1.KeyRotation
			var err error
			if show {
				r, err = client.Get[v1.KeyRotation](cmd.Context(), c, "/vault/rotate-keys", nil)
			} else {
				err = a.stepUp(cmd, c, func() error {
					r, err = client.Post[v1.KeyRotation](cmd.Context(), c, "/vault/rotate-keys", in)
					return err
				})
			}
			if err == nil && wait {
				r, err = waitForKeys(cmd, c, r)
			}
			if err = one(cmd, a, r, err); err != nil {
				return err
			}
			if r.State == "finished" && len(r.Problems) > 0 {
				return errors.New("some of what is sealed does not open: it was left as it is, with the keys that it names")
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&in.Scope, "scope", "all", "all, root or organization")
	cmd.Flags().StringVar(&in.OrgID, "org", "", "with --scope organization: this one alone")
	cmd.Flags().BoolVar(&wait, "wait", false, "show how far it is, until it is done")
	cmd.Flags().BoolVar(&show, "status", false, "begin nothing, and show the rotation that runs or ran last")
	return cmd
}

// waitForKeys tells on the standard error stream how far a rotation is. Ctrl-C
// ends the waiting, not the rotation.
func waitForKeys(cmd *cobra.Command, c *client.Client, r v1.KeyRotation) (v1.KeyRotation, error) {
	told := ""
	for r.State == "running" {
		text := "waiting for its turn"
		for _, s := range r.Steps {
			if s.StartedAt != nil {
				text = fmt.Sprintf("%s: %d of %d", s.Step, s.Done, s.Total)
			}
			if s.Failed > 0 {
				text += fmt.Sprintf(", %d failed", s.Failed)
			}
		}
		if r.Trouble != "" {
			text += " (" + r.Trouble + ")"
		}
		if text != told {
			cmd.PrintErrln(text)
			told = text
		}
		select {
		case <-cmd.Context().Done():
			return r, cmd.Context().Err()
		case <-time.After(500 * time.Millisecond):
		}
		var err error
		if r, err = client.Get[v1.KeyRotation](cmd.Context(), c, "/vault/rotate-keys", nil); err != nil {
			return r, err
		}
	}
	return r, nil
}
