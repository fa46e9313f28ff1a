package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"vaultpam/client"
)

const emergencyUsage = "break-glass: without an approval, if you are named for it; needs --reason, alerts whoever answers for the Safe, changes the secret afterwards"

// warnOfEmergency says what break-glass causes, before it does.
func warnOfEmergency(cmd *cobra.Command, emergency bool, reason string) error {
	switch {
	case !emergency:
		return nil
	case strings.TrimSpace(reason) == "":
		return usageError{errors.New("--emergency needs a --reason, which goes on record")}
	}
	cmd.PrintErrln("Emergency access: this goes on record with your reason, everybody who answers for the Safe is told now, and the secret is changed when you are done.")
	return nil
}

// place is a Safe and what of it is meant; "" for what is not said.
type place struct{ safe, account, resource string }

// within acts on a place by its ids. In an emergency what was typed goes to the
// server as it is: whoever is named for it may see nothing of the Safe, and
// says it by its id.
func (a *app) within(cmd *cobra.Command, at place, emergency bool, act func(*client.Client, place) error) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	if !emergency {
		if at.safe, err = safes.find(cmd, c, at.safe); err != nil {
			return err
		}
		if at.account != "" {
			if at.account, err = accounts.find(cmd, c, at.account); err != nil {
				return err
			}
		}
		if at.resource != "" {
			if at.resource, err = resources.find(cmd, c, at.resource); err != nil {
				return err
			}
		}
	}
	return a.stepUp(cmd, c, func() error { return act(c, at) })
}
