package v1

import "time"

// Lease is a user at a target that is to be gone again.
type Lease struct {
	ID          string    `json:"id"`
	AccountID   string    `json:"account_id"`
	AccountName string    `json:"account_name,omitempty"`
	ResourceID  string    `json:"resource_id"`
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
