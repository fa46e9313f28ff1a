package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

func (a *app) accountsCommand() *cobra.Command {
	return accounts.command(a, accounts.action(a, "check", "Log in with an account's credential, and out"),
		a.credentialCommand(), a.generateCommand(), a.versionsCommand(), a.promoteCommand(), a.purgeCommand(), a.importCommand(), a.rotateCommand(), a.rotationCommand())
}

func (a *app) credentialCommand() *cobra.Command {
	var kind, keyFile, certificateFile, ephemeralFile string
	var passphrase bool
	cmd := &cobra.Command{
		Use: "set-credential ID|SLUG", Short: "Put a new password, key or token into the vault", Args: args(cobra.ExactArgs(1)),
		Long: "Put a new secret into the vault: a password or token, asked for or read from standard input, or a key and certificate from files. A secret is never taken from the command line, where other processes see it.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			in, err := newCredential(kind, keyFile, certificateFile, ephemeralFile, passphrase)
			if err != nil {
				return err
			}
			return accounts.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				v, err := client.Put[v1.Credential](cmd.Context(), c, "/accounts/"+id+"/credential", in)
				return one(cmd, a, v, err)
			})
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "", "password, database, token, kubernetes_token, ssh_key, ssh_certificate, tls_client or ephemeral; by default what the other flags say, else password")
	cmd.Flags().StringVar(&keyFile, "private-key", "", "file with a private key")
	cmd.Flags().StringVar(&certificateFile, "certificate", "", "file with the certificate for it: OpenSSH's, or PEM with those that vouch for it")
	cmd.Flags().BoolVar(&passphrase, "passphrase", false, "ask for the passphrase of the private key")
	cmd.Flags().StringVar(&ephemeralFile, "ephemeral", "", "JSON file that says what is made at each launch; of such an account no secret is kept")
	return cmd
}

// newCredential reads a secret from files, or asks for it.
func newCredential(kind, keyFile, certificateFile, ephemeralFile string, passphrase bool) (in v1.CredentialIn, err error) {
	read := func(name string) string {
		if name == "" || err != nil {
			return ""
		}
		var text []byte
		text, err = os.ReadFile(name)
		return string(text)
	}
	in.Kind, in.PrivateKey, in.Certificate = kind, read(keyFile), read(certificateFile)
	if text := read(ephemeralFile); text != "" && err == nil {
		in.Ephemeral = &v1.Ephemeral{}
		err = json.Unmarshal([]byte(text), in.Ephemeral)
	}
	if err != nil {
		return in, err
	}
	if in.Kind == "" {
		switch {
		case ephemeralFile != "":
			in.Kind = "ephemeral"
		case certificateFile != "":
			return in, usageError{errors.New("with --certificate, --kind says what it is: ssh_certificate or tls_client")}
		case keyFile != "":
			in.Kind = "ssh_key"
		default:
			in.Kind = "password"
		}
	}
	if passphrase {
		if in.Passphrase, err = askSecret("Passphrase of the key: "); err != nil {
			return in, err
		}
	}
	if keyFile == "" && in.Kind != "ephemeral" {
		if in.Value, err = askSecret("New secret: "); err == nil && in.Value == "" {
			err = errors.New("an empty secret is not taken")
		}
	}
	return in, err
}

func (a *app) generateCommand() *cobra.Command {
	in := v1.GenerateIn{}
	var lower, upper, digit, symbol, words int
	var exclude, separator string
	cmd := &cobra.Command{
		Use: "generate ID|SLUG", Short: "Have a new secret made, which nobody sees by this", Args: args(cobra.ExactArgs(1)),
		Long: "Have the server make a new password, passphrase or key, store and promote it. It is not shown, and the target is not told: that is for rotation.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			given := cmd.Flags().Changed
			for name, class := range map[string]struct {
				n  *int
				to func(*v1.CharClasses, *int)
			}{
				"lower": {&lower, func(c *v1.CharClasses, n *int) { c.Lower = n }}, "upper": {&upper, func(c *v1.CharClasses, n *int) { c.Upper = n }},
				"digit": {&digit, func(c *v1.CharClasses, n *int) { c.Digit = n }}, "symbol": {&symbol, func(c *v1.CharClasses, n *int) { c.Symbol = n }},
			} {
				if given(name) {
					if in.Classes == nil {
						in.Classes = &v1.CharClasses{}
					}
					class.to(in.Classes, class.n)
				}
			}
			if given("exclude") {
				in.Exclude = &exclude
			}
			if given("words") || given("separator") {
				in.Passphrase = &v1.PassphraseIn{Words: words}
				if given("separator") {
					in.Passphrase.Separator = &separator
				}
			}
			return accounts.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				v, err := client.Post[v1.Credential](cmd.Context(), c, "/accounts/"+id+"/credential/generate", in)
				return one(cmd, a, v, err)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Kind, "kind", "password", "password, database, token or ssh_key")
	f.IntVar(&in.Length, "length", 0, "characters, 8 to 128 (default 32)")
	f.IntVar(&lower, "lower", 0, "fewest lower case letters; as soon as one class is named, those that are not are not used")
	f.IntVar(&upper, "upper", 0, "fewest upper case letters")
	f.IntVar(&digit, "digit", 0, "fewest digits")
	f.IntVar(&symbol, "symbol", 0, "fewest symbols")
	f.StringVar(&in.Symbols, "symbols", "", "the symbols to use (default \".,:_\")")
	f.StringVar(&exclude, "exclude", "", "characters that are never used (default \"0O1lI\")")
	f.IntVar(&words, "words", 0, "a passphrase of so many words, of 16 bits each")
	f.StringVar(&separator, "separator", "", "what stands between words (default \"-\")")
	f.StringVar(&in.Algorithm, "algorithm", "", "of an ssh_key: ed25519 (default), ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-3072 or rsa-4096")
	return cmd
}

func (a *app) versionsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "versions ID|SLUG", Short: "The history of an account's credential", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return accounts.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				rows, err := client.Get[[]v1.CredentialVersion](cmd.Context(), c, "/accounts/"+id+"/versions", nil)
				return versions(cmd, a, rows, err)
			})
		},
	}
}

func versions(cmd *cobra.Command, a *app, rows []v1.CredentialVersion, err error) error {
	if err != nil {
		return err
	}
	return show(cmd, a, rows,
		col("VERSION", func(v v1.CredentialVersion) string {
			if v.Promoted {
				return fmt.Sprintf("%d *", v.Version)
			}
			return fmt.Sprint(v.Version)
		}),
		col("KIND", func(v v1.CredentialVersion) string { return v.Kind }),
		col("STATE", func(v v1.CredentialVersion) string { return v.State }),
		col("CREATED", func(v v1.CredentialVersion) string { return when(v.CreatedAt) }),
		col("BY", func(v v1.CredentialVersion) string { return orID(v.CreatedByName, v.CreatedBy) }),
		col("EXPIRES", func(v v1.CredentialVersion) string { return whenOr(v.NotAfter) }),
		col("PURGED", func(v v1.CredentialVersion) string {
			if v.PurgedAt == nil {
				return "-"
			}
			return when(*v.PurgedAt) + " " + orID(v.PurgedByName, v.PurgedBy)
		}),
		col("FINGERPRINT", func(v v1.CredentialVersion) string { return orID(v.Fingerprint, "-") }),
	)
}

func orID(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

func whenOr(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return when(*t)
}

func (a *app) promoteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "promote ID|SLUG VERSION", Short: "Say that the target has an old version of the credential", Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			n, err := versionOf(argv[1])
			if err != nil {
				return err
			}
			return accounts.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				v, err := client.Post[v1.Credential](cmd.Context(), c, "/accounts/"+id+"/versions/"+n+"/promote", nil)
				return one(cmd, a, v, err)
			})
		},
	}
}

func versionOf(text string) (string, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < 1 {
		return "", usageError{fmt.Errorf("%q is not a version", text)}
	}
	return url.PathEscape(text), nil
}

func (a *app) purgeCommand() *cobra.Command {
	var keep int
	var yes bool
	cmd := &cobra.Command{
		Use: "purge ID|SLUG [VERSION]", Short: "Overwrite an old version of the credential, or all but the newest", Args: args(cobra.RangeArgs(1, 2)),
		Long: "Overwrite the secret of one old version, or with --keep of all but the newest so many. What is in use stays. Backups hold what was purged until they are gone.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			if (len(argv) == 2) == cmd.Flags().Changed("keep") {
				return usageError{errors.New("either a VERSION or --keep says what is purged")}
			}
			if err := confirm(cmd, yes, "What is purged cannot be opened any more. Purge?"); err != nil {
				return err
			}
			if len(argv) == 1 {
				return accounts.with(cmd, a, argv[0], func(c *client.Client, id string) error {
					rows, err := client.Post[[]v1.CredentialVersion](cmd.Context(), c, "/accounts/"+id+"/versions/purge", v1.PurgeIn{Keep: keep})
					return versions(cmd, a, rows, err)
				})
			}
			n, err := versionOf(argv[1])
			if err != nil {
				return err
			}
			return accounts.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				return c.Delete(cmd.Context(), "/accounts/"+id+"/versions/"+n)
			})
		},
	}
	cmd.Flags().IntVar(&keep, "keep", 0, "how many of the newest stay")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
