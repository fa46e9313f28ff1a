package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

// factorOf is the kind of a code that somebody has typed: an app's is six
// digits, one on paper is longer.
func factorOf(code string) string {
	if len(strings.ReplaceAll(code, " ", "")) > 8 {
		return "recovery_code"
	}
	return "totp"
}

// askCode asks for the second factor that the server wants.
func askCode() (factor, code string, err error) {
	code, err = askSecret("Verification code (or a recovery code): ")
	code = strings.TrimSpace(code)
	return factorOf(code), code, err
}

// secondFactor ends a sign-in that waits for a factor.
func secondFactor(cmd *cobra.Command, c *client.Client, refusal *client.Error) (v1.Token, error) {
	if slices.Contains(refusal.Envelope.Factors, "webauthn") && !slices.Contains(refusal.Envelope.Factors, "totp") {
		cmd.PrintErrln("A passkey is shown in the browser: sign in by \"vaultpam login --browser\", or type a recovery code.")
	}
	factor, code, err := askCode()
	if err != nil {
		return v1.Token{}, err
	}
	return c.LoginByFactor(cmd.Context(), v1.MFAIn{MFAToken: refusal.Envelope.MFAToken, Factor: factor, Code: code})
}

// enrolFirst enrols the second factor that the server wants before it lets
// anybody in.
func enrolFirst(cmd *cobra.Command, c *client.Client, refusal *client.Error, email, password string) (v1.Token, error) {
	cmd.PrintErrln(refusal.Envelope.Message)
	if err := enrol(cmd, c.With(refusal.Envelope.AccessToken), ""); err != nil {
		return v1.Token{}, err
	}
	cmd.PrintErrln("Now sign in with it: wait for the next code.")
	_, err := c.Login(cmd.Context(), email, password)
	again, ok := errors.AsType[*client.Error](err)
	if !ok || again.Code() != "MFA_REQUIRED" {
		return v1.Token{}, err
	}
	return secondFactor(cmd, c, again)
}

// enrol adds an authenticator app.
func enrol(cmd *cobra.Command, c *client.Client, label string) error {
	begun, err := client.Post[v1.TOTP](cmd.Context(), c, "/me/mfa/totp", v1.TOTPIn{Label: label})
	if err != nil {
		return err
	}
	cmd.PrintErrf("Add this to your authenticator app:\n  %s\nor type the key %s\n", begun.OtpauthURL, begun.Secret)
	code, err := askSecret("Its present code: ")
	if err != nil {
		return err
	}
	done, err := client.Post[v1.RecoveryCodes](cmd.Context(), c, "/me/mfa/totp/confirm", v1.TOTPConfirmIn{Code: strings.TrimSpace(code)})
	if err != nil {
		return err
	}
	cmd.PrintErrln("The app is enrolled. Your other logins have ended.")
	printCodes(cmd, done.RecoveryCodes)
	return nil
}

func printCodes(cmd *cobra.Command, codes []string) {
	if len(codes) == 0 {
		return
	}
	cmd.PrintErrln("Keep these recovery codes on paper; each works once, and they are not shown again:")
	for _, code := range codes {
		fmt.Fprintln(cmd.OutOrStdout(), code)
	}
}

func (a *app) mfaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "mfa", Short: "List and change your second factors", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			f, err := client.Get[v1.Factors](cmd.Context(), c, "/me/mfa", nil)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(cmd.OutOrStdout(), f)
			}
			cmd.PrintErrf("%d recovery codes are left.\n", f.RecoveryCodesLeft)
			return show(cmd, a, f.Factors, col("ID", func(f v1.Factor) string { return f.ID }), col("FACTOR", func(f v1.Factor) string { return f.Factor }),
				col("LABEL", func(f v1.Factor) string { return f.Label }), col("LAST USED", func(f v1.Factor) string { return lastUse(f.LastUsedAt) }))
		}),
	}
	var label string
	add := &cobra.Command{
		Use: "add", Short: "Enrol an authenticator app", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return a.stepUp(cmd, c, func() error { return enrol(cmd, c, label) })
		}),
	}
	add.Flags().StringVar(&label, "label", "", "to tell it from others")
	cmd.AddCommand(add, &cobra.Command{
		Use: "remove ID", Short: "Remove a second factor", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			return a.stepUp(cmd, c, func() error { return c.Delete(cmd.Context(), "/me/mfa/"+url.PathEscape(argv[0])) })
		}),
	}, &cobra.Command{
		Use: "recovery-codes", Short: "Make new recovery codes; those of before stop working", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return a.stepUp(cmd, c, func() error {
				codes, err := client.Post[v1.RecoveryCodes](cmd.Context(), c, "/me/mfa/recovery-codes", nil)
				if err == nil {
					printCodes(cmd, codes.RecoveryCodes)
				}
				return err
			})
		}),
	})
	return cmd
}
