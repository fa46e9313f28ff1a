package pam

import "time"

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
