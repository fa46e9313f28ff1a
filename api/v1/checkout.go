package v1

import "time"

// CheckoutIn asks for a secret.
type CheckoutIn struct {
	SafeID    string `json:"safe_id" maxLength:"64"`
	AccountID string `json:"account_id,omitempty" maxLength:"64"`
	Reason    string `json:"reason,omitempty" maxLength:"1024"`
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
}
