package v1

import "time"

// Lease is a user at a target that is to be gone again.
type Lease struct {
	ID          string    `json:"id"`
	AccountID   string    `json:"account_id"`
	AccountName string    `json:"account_name,omitempty"`
	ResourceID  string    `json:"resource_id"`
	Place       string    `json:"place,omitempty" doc:"Where the resource was when the user was made"`
	SafeID      string    `json:"safe_id"`
	UserID      string    `json:"user_id" doc:"Who has it"`
	CheckoutID  string    `json:"checkout_id"`
	Username    string    `json:"username" doc:"At the target"`
	State       string    `json:"state" enum:"creating,active,revoking,stuck,revoked"`
	Attempts    int       `json:"attempts" doc:"To drop the user"`
	Problem     string    `json:"problem,omitempty" doc:"What came of the last"`
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// LeaseForgetIn says why a lease is closed by hand.
type LeaseForgetIn struct {
	Reason string `json:"reason" minLength:"1" maxLength:"500"`
}

// LeaseSweep is what a look for leftover users came to.
type LeaseSweep struct {
	Found   []Lease  `json:"found" doc:"Users that no lease knew, with the leases that drop them now"`
	Waiting []string `json:"waiting" doc:"Users that were made here, that no lease knows and whose time is not over"`
	Foreign []string `json:"foreign" doc:"Users that are named like ours and were made elsewhere; they are left alone"`
}
