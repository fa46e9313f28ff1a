package pam

import (
	"time"

	"vaultpam/internal/ids"
)

// Hold says on whose behalf a redirection is written. Where it sends
// credentials elsewhere, they stay back until a manager of each Safe that it
// touches has confirmed; the store finds these Safes in the same transaction
// as the change, so that none is missed.
type Hold struct {
	By      UserID
	At      time.Time
	Dual    bool   // the organization's dual_control: By's own word does not count
	Summary string // what is to be confirmed, for people; free of secrets
	NewID   func() ConfirmationID
}

// NewHold makes a Hold on behalf of the actor.
func NewHold(a Actor, at time.Time, src *ids.Source, summary string) Hold {
	return Hold{By: a.User, At: at, Dual: a.DualControl, Summary: summary, NewID: func() ConfirmationID {
		return ConfirmationID(src.New(PrefixConfirmation))
	}}
}
