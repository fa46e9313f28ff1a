package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
	"vaultpam/internal/kit"
	"vaultpam/internal/shamir"
)

func (a *app) breakGlassCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "break-glass", Short: "Make and open sealed kits, for the day on which there is no server"}
	cmd.AddCommand(a.makeKitCommand(), a.openKitCommand())
	return cmd
}

func (a *app) makeKitCommand() *cobra.Command {
	var out, dir string
	var in v1.KitIn
	cmd := &cobra.Command{
		Use: "kit SAFE", Short: "Seal every stored secret of a Safe in one file", Args: args(cobra.ExactArgs(1)),
		Long: "Seal every stored secret of a Safe, as it is now, in one file, and deal out shares of its key: --threshold of them open it with vaultpam break-glass open, on a machine without the server. The shares are printed this once, or written to --shares-to, one file each. Give each to another person, and none to whoever keeps the file. The server keeps neither.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			if out == "" {
				return usageError{errors.New("--out is needed: the file for the kit")}
			}
			return safes.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				return a.makeKit(cmd, c, id, in, out, dir)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "the new file for the kit")
	f.StringVar(&dir, "shares-to", "", "a directory for the shares, instead of printing them")
	f.IntVar(&in.Shares, "shares", 5, "how many shares there are")
	f.IntVar(&in.Threshold, "threshold", 3, "how many of them open the kit")
	f.StringVar(&in.Reason, "reason", "", "why (needed)")
	return cmd
}

// makeKit has its files before it asks, so that no secret is opened for a kit
// that could not be kept.
func (a *app) makeKit(cmd *cobra.Command, c *client.Client, id string, in v1.KitIn, out, dir string) (err error) {
	var made []*os.File
	defer func() {
		for _, f := range made {
			err = errors.Join(err, f.Close())
		}
		for _, f := range made {
			if err != nil {
				_ = os.Remove(f.Name())
			}
		}
	}()
	create := func(name string) error {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			made = append(made, f)
		}
		return err
	}
	if err := create(out); err != nil {
		return err
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		for i := range min(in.Shares, shamir.MaxShares) {
			if err := create(filepath.Join(dir, fmt.Sprintf("share-%d.txt", i+1))); err != nil {
				return err
			}
		}
	}
	k, err := client.Post[v1.Kit](cmd.Context(), c, "/safes/"+id+"/break-glass-kit", in)
	if err != nil {
		return err
	}
	texts := append([]string{k.Kit}, k.Shares...)
	for i, f := range made {
		if i > 0 {
			texts[i] += "\n"
		}
		if _, err := f.WriteString(texts[i]); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	k.Kit = "" // it is in the file
	if dir != "" {
		k.Shares = nil
	}
	if a.output == "json" {
		return printJSON(cmd.OutOrStdout(), map[string]any{"kit_id": k.ID, "file": out, "accounts": k.Accounts, "left_out": k.LeftOut, "shares": k.Shares})
	}
	cmd.PrintErrf("%s holds %d secrets; %d of %d shares open it with: vaultpam break-glass open %s\n", out, k.Accounts, in.Threshold, in.Shares, out)
	for _, gap := range k.LeftOut {
		cmd.PrintErrf("%s (%s) is not in it: it has no stored secret\n", printable(gap.Name), gap.ID)
	}
	for _, s := range k.Shares {
		fmt.Fprintln(cmd.OutOrStdout(), s)
	}
	return nil
}

// opened is a secret of a kit as it is printed.
type opened struct {
	AccountID string         `json:"account_id"`
	Account   string         `json:"account"`
	Username  string         `json:"username"`
	Kind      string         `json:"kind"`
	Version   int64          `json:"version"`
	Resources []kit.Resource `json:"resources"`
	Value     string         `json:"value,omitempty"`
	Base64    string         `json:"value_base64,omitempty"` // of what is no text
}

func (a *app) openKitCommand() *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use: "open FILE", Short: "Open a kit with its shares, without a server", Args: args(cobra.ExactArgs(1)),
		Long: "Open a kit with its shares. It needs no server, no login and no network. Shares come from --share-file; those that are still missing are asked for on the terminal, or read as lines of standard input. For people the secrets are shown on a terminal alone; -o json writes them to a file or another program.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			if a.output != "json" && !term.IsTerminal(int(os.Stdout.Fd())) {
				return usageError{errors.New("the output is no terminal: say -o json to have the secrets written there")}
			}
			text, err := readAtMost(argv[0], kit.MaxFile)
			if err != nil {
				return err
			}
			k, err := kit.Parse(text)
			if err != nil {
				return fmt.Errorf("%s: %w", argv[0], err)
			}
			h := &k.Header
			cmd.PrintErrf("Kit %s of the safe %s of %s, made %s, opens with %d of %d shares.\n", printable(h.ID), printable(h.SafeName), printable(h.OrgName), h.CreatedAt.Format(time.RFC3339), h.Threshold, h.Shares)
			shares, err := gather(cmd, &k, files)
			defer kit.Wipe(shares)
			if err != nil {
				return err
			}
			entries, err := k.Open(shares)
			if err != nil {
				return err
			}
			defer func() {
				for _, e := range entries {
					e.Value.Wipe()
				}
			}()
			return a.printKit(cmd, entries)
		},
	}
	cmd.Flags().StringArrayVar(&files, "share-file", nil, "a file with one share; several times")
	return cmd
}

// gather takes shares from files, and asks for those that are missing.
func gather(cmd *cobra.Command, k *kit.Kit, files []string) ([]shamir.Share, error) {
	var shares []shamir.Share
	take := func(text []byte) error {
		s, err := shamir.Parse(text)
		if err == nil {
			err = k.Fits(shares, &s)
		}
		if err == nil {
			shares = append(shares, s)
		}
		return err
	}
	for _, name := range files {
		text, err := readAtMost(name, 1<<20)
		if err != nil {
			return shares, err
		}
		err = take(text)
		clear(text)
		if err != nil {
			return shares, fmt.Errorf("%s: %w", name, err)
		}
	}
	for len(shares) < k.Header.Threshold {
		text, err := askSecret(fmt.Sprintf("Share %d of %d: ", len(shares)+1, k.Header.Threshold))
		if errors.Is(err, io.EOF) {
			err = kit.ErrTooFew
		}
		if err != nil {
			return shares, err
		}
		if err := take([]byte(text)); err != nil {
			if !term.IsTerminal(int(os.Stdin.Fd())) {
				return shares, fmt.Errorf("share %d: %w", len(shares)+1, err)
			}
			cmd.PrintErrln(err)
		}
	}
	return shares, nil
}

func (a *app) printKit(cmd *cobra.Command, entries []kit.Entry) error {
	if a.output == "json" {
		out := make([]opened, len(entries))
		for i, e := range entries {
			out[i] = opened{AccountID: e.Account, Account: e.Name, Username: e.Username, Kind: e.Kind, Version: e.Version, Resources: e.Resources}
			if v := e.Value.Expose(); utf8.Valid(v) {
				out[i].Value = string(v)
			} else {
				out[i].Base64 = base64.StdEncoding.EncodeToString(v)
			}
		}
		return printJSON(cmd.OutOrStdout(), out)
	}
	// Keys have many lines, so that this is no table.
	w := cmd.OutOrStdout()
	for _, e := range entries {
		fmt.Fprintf(w, "%s  %s, version %d, user %s\n", printable(e.Name), printable(e.Kind), e.Version, printable(e.Username))
		for _, r := range e.Resources {
			fmt.Fprintf(w, "  %s  %s %s\n", printable(r.Name), printable(r.Type), printable(net.JoinHostPort(r.Host, strconv.Itoa(r.Port))))
		}
		fmt.Fprintf(w, "%s\n\n", shown(string(e.Value.Expose())))
	}
	return nil
}

// shown is a secret as it can be typed again; what would steer the terminal is
// quoted, not replaced.
func shown(v string) string {
	if utf8.ValidString(v) && !strings.ContainsFunc(v, func(r rune) bool {
		return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
	}) {
		return strings.TrimSuffix(v, "\n")
	}
	return strconv.Quote(v)
}
