package pam

import (
	"time"

	"vaultpam/internal/secret"
)

// Outgoing is a message on its way out of the house. It is written in the
// transaction of the act that it is about, and delivered later by a job:
// nothing waits for it.
type Outgoing struct {
	ID        OutgoingID
	Org       OrgID
	Channel   string // how it leaves, such as "mail"
	Kind      string // what it says, such as "invitation"
	Object    string // the id of what it is about
	To        string // an address of the channel
	Sealed    []byte // its content, for the outbox alone
	CreatedAt time.Time
}

// OutgoingID is the id of an Outgoing.
type OutgoingID string // out_

// PrefixOutgoing begins these ids.
const PrefixOutgoing = "out_"

// The kinds of letters.
const (
	LetterInvitation      = "invitation"
	LetterPasswordReset   = "password_reset"
	LetterAccessRequested = "access_requested" // to those who decide
	LetterAccessApproved  = "access_approved"  // to whoever asked
	LetterAccessRejected  = "access_rejected"
	LetterBreakGlass      = "break_glass"     // to those who answer for a Safe
	LetterRotationFailed  = "rotation_failed" // to those who manage an account
	LetterRotationStuck   = "rotation_stuck"
	LetterRotationCopies  = "rotation_copies" // done, but for a copy
)

// Letter is what is to be written to one person, in the words of the outbox.
type Letter struct {
	Org      OrgID
	Kind     string
	Object   string // the id of what it is about
	To       string // an e-mail address
	Language string
	OrgName  string
	By       string // who caused it
	Role     Role   // of an invitation
	About    string // the name of what it is about
	Why      string // what whoever caused it says
	Link     secret.Value
	Until    time.Time
}

// Delivery is how it went with a message so far.
type Delivery struct {
	Status   DeliveryStatus
	Attempts int
	Problem  string // of the last attempt, for people; "" without one
	At       time.Time
}

// DeliveryStatus is where a message stands.
type DeliveryStatus string

// The states. Only a pending message is ever tried.
const (
	DeliveryPending DeliveryStatus = "pending"
	DeliverySent    DeliveryStatus = "sent"   // the other side has taken it
	DeliveryFailed  DeliveryStatus = "failed" // given up
)
