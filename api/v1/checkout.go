package v1

import "time"

// CheckoutIn asks for a secret.
type CheckoutIn struct {
	SafeID    string `json:"safe_id" maxLength:"64"`
	AccountID string `json:"account_id,omitempty" maxLength:"64"`
	Reason    string `json:"reason,omitempty" maxLength:"1024" doc:"Needed in an emergency"`
	SessionID string `json:"session_id,omitempty" maxLength:"64" doc:"An open session of the caller's own in the Safe: the checkout ends with it"`
	Emergency bool   `json:"emergency,omitempty" doc:"Break-glass: without an approval, for those who are named for it in the Safe"`
}

// Checkout is a secret revealed to one person for a time.
type Checkout struct {
	ID        string    `json:"id"`
	Status    string    `json:"status" enum:"checked_out,available"`
	SafeID    string    `json:"safe_id"`
	AccountID string    `json:"account_id"`
	UserID    string    `json:"user_id"`
	Username  string    `json:"username,omitempty"`
	Kind      string    `json:"kind,omitempty"`
	Value     string    `json:"value,omitempty" doc:"The secret, this once"`
	ExpiresAt time.Time `json:"expires_at"`
	CreatedAt time.Time `json:"created_at"`

	SafeName    string     `json:"safe_name,omitempty"`
	AccountName string     `json:"account_name,omitempty"`
	UserName    string     `json:"user_name,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Version     int64      `json:"version"`
	Exclusive   bool       `json:"exclusive"`
	Emergency   bool       `json:"emergency"`
	Extensions  int        `json:"extensions" doc:"How often its time was extended"`
	SessionID   string     `json:"session_id,omitempty"`
	CheckedInAt *time.Time `json:"checked_in_at"`
	CheckedInBy string     `json:"checked_in_by,omitempty"`
	Cause       string     `json:"cause,omitempty" enum:"by_holder,forced,timeout,session_ended,grant_ended,membership_ended,access_removed,binding_removed,safe_locked,not_opened,checkout_off,hours_over,credential_expired,policy_denied,approval_needed,access_unconfirmed" doc:"What ended it"`
}

// ExtendIn asks for more time with a secret.
type ExtendIn struct {
	DurationSeconds int `json:"duration_seconds,omitempty" minimum:"1" maximum:"2592000" doc:"From now; at most, and when absent, what the Safe gives"`
}
