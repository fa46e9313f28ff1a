package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

var notSignedIn = v1.Error{Error: "TOKEN_INVALID", Message: "You are not signed in: run vaultpam login, or set VAULTPAM_TOKEN."}

func (a *app) loginCommand() *cobra.Command {
	var browser bool
	var tokenFile, org string
	cmd := &cobra.Command{
		Use:   "login [URL]",
		Short: "Sign in and keep the login for the next commands",
		Long: "Sign in with e-mail and password, asked for on the terminal or taken from VAULTPAM_EMAIL and VAULTPAM_PASSWORD; or, with --browser,\n" +
			"by approving a short code in the web console, on this machine or any other. A program of a CI system or in Kubernetes shows the token\n" +
			"that it was given there: --oidc-token-file, with --org; see docs/sso.md.",
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			kept, err := readLogin()
			if err != nil {
				return err
			}
			base := env("VAULTPAM_BASE_URL", kept.BaseURL)
			if len(argv) == 1 {
				base = argv[0]
			}
			if base == "" {
				return usageError{errors.New("name the server: vaultpam login https://pam.example.com")}
			}
			c, err := client.New(base, "", "")
			if err != nil {
				return usageError{err}
			}
			signIn := byPassword
			if browser {
				signIn = byBrowser
			}
			if tokenFile != "" {
				signIn = byToken(tokenFile, cmp.Or(org, env("VAULTPAM_ORG_ID", "")))
			}
			token, err := signIn(cmd, c)
			if err != nil {
				return err
			}
			me, err := client.Get[v1.Me](cmd.Context(), c, "/me", nil)
			if err != nil {
				return err
			}
			ms, err := client.Get[v1.Memberships](cmd.Context(), c, "/org/memberships", nil)
			if err != nil {
				return err
			}
			l := login{BaseURL: strings.TrimRight(base, "/"), Token: token.AccessToken, OrgID: ms.ActiveOrgID, Email: me.Email, ExpiresAt: time.Now().Add(time.Duration(token.ExpiresIn) * time.Second).UTC()}
			if err := writeLogin(l); err != nil {
				return err
			}
			cmd.PrintErrf("Signed in as %s until %s.\n", me.Email, when(l.ExpiresAt))
			return nil
		},
	}
	cmd.Flags().BoolVar(&browser, "browser", false, "sign in by the web console")
	cmd.Flags().StringVar(&tokenFile, "oidc-token-file", "", "file with the token of a program, which a rule of the organization takes")
	cmd.Flags().StringVar(&org, "org", "", "organization to which --oidc-token-file is shown, by id or slug")
	cmd.MarkFlagsMutuallyExclusive("browser", "oidc-token-file")
	return cmd
}

// byPassword signs in with what the terminal or the environment says.
func byPassword(cmd *cobra.Command, c *client.Client) (v1.Token, error) {
	email := env("VAULTPAM_EMAIL", "")
	if email == "" {
		fmt.Fprint(os.Stderr, "Email: ")
		var err error
		if email, err = readLine(); err != nil {
			return v1.Token{}, err
		}
	}
	email = strings.TrimSpace(email)
	password := env("VAULTPAM_PASSWORD", "")
	if password == "" {
		var err error
		if password, err = askSecret("Password: "); err != nil {
			return v1.Token{}, err
		}
	}
	token, err := c.Login(cmd.Context(), email, password)
	for range 3 { // what is missing is asked for, one after the other
		refusal, ok := errors.AsType[*client.Error](err)
		if !ok {
			break
		}
		switch refusal.Code() {
		case "MFA_REQUIRED":
			token, err = secondFactor(cmd, c, refusal)
		case "MFA_ENROLMENT_REQUIRED":
			token, err = enrolFirst(cmd, c, refusal, email, password)
		case "PASSWORD_CHANGE_REQUIRED":
			if password, err = changeFirst(cmd, c, refusal, password); err == nil {
				token, err = c.Login(cmd.Context(), email, password)
			}
		default:
			return token, err
		}
	}
	return token, err
}

// byBrowser has somebody approve the login in the console.
func byBrowser(cmd *cobra.Command, c *client.Client) (v1.Token, error) {
	name := "vaultpam"
	if host, err := os.Hostname(); err == nil {
		name += " on " + host
	}
	return c.LoginByDevice(cmd.Context(), name, func(d v1.DeviceCodes) {
		cmd.PrintErrf("Open %s\nand approve the code %s within %d minutes.\n", d.VerificationURIComplete, d.UserCode, d.ExpiresIn/60)
		openBrowser(d.VerificationURIComplete)
	})
}

// openBrowser tries to. Whoever has none reads the address on the terminal.
func openBrowser(address string) {
	opener := map[string]string{"darwin": "open", "windows": "explorer"}[runtime.GOOS]
	if opener == "" && (os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "") {
		opener = "xdg-open"
	}
	if opener == "" {
		return
	}
	if open := exec.Command(opener, address); open.Start() == nil {
		go func() { _ = open.Wait() }() // ends with the opener, or with us
	}
}

// changeFirst asks for the new password that the server wants, and returns it.
func changeFirst(cmd *cobra.Command, c *client.Client, refusal *client.Error, password string) (string, error) {
	cmd.PrintErrln(refusal.Envelope.Message)
	next, err := askSecret("New password: ")
	if err != nil {
		return "", err
	}
	return next, c.ChangePassword(cmd.Context(), refusal.Envelope.AccessToken, password, next)
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "End the login",
		Args:  args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if _, err := client.Post[struct{}](cmd.Context(), c, "/auth/logout", nil); err != nil {
				return err
			}
			kept, err := readLogin()
			if err != nil {
				return err
			}
			return writeLogin(login{BaseURL: kept.BaseURL}) // the server is worth remembering
		}),
	}
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show who you are to the server",
		Args:  args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			me, err := client.Get[v1.Me](cmd.Context(), c, "/me", nil)
			return one(cmd, a, me, err)
		}),
	}
}

func (a *app) passwordCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "password",
		Short: "Change your password",
		Args:  args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			current, err := askSecret("Current password: ")
			if err != nil {
				return err
			}
			next, err := askSecret("New password: ")
			if err != nil {
				return err
			}
			return c.ChangePassword(cmd.Context(), "", current, next)
		}),
	}
}

// stepUp proves anew who the caller is and tries once more when a risky act
// asked for it.
func (a *app) stepUp(cmd *cobra.Command, c *client.Client, act func() error) error {
	err := act()
	refusal, ok := errors.AsType[*client.Error](err)
	if !ok || refusal.Code() != "STEP_UP_REQUIRED" {
		return err
	}
	cmd.PrintErrln(refusal.Envelope.Message)
	mine, err := client.Get[v1.Factors](cmd.Context(), c, "/me/mfa", nil)
	if err != nil {
		return err
	}
	var in v1.StepUpIn
	if len(mine.Factors) > 0 {
		in.Factor, in.Code, err = askCode()
	} else {
		in.Password, err = askSecret("Password: ")
	}
	if err != nil {
		return err
	}
	if _, err := client.Post[v1.StepUp](cmd.Context(), c, "/auth/step-up", in); err != nil {
		return err
	}
	return act()
}

// confirm asks before something is destroyed; --yes answers for the person.
func confirm(cmd *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	cmd.PrintErrf("%s [y/N] ", question)
	answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}
