// Package v1 holds the JSON shapes of the REST API under /api/v1, shared by
// the server and the Go client. It owns field names and nothing else: no
// rules, no imports of this module. Start with the file of the noun.
//
// A type whose name ends in In is what a client writes; the type without it
// is what the server answers. PATCH takes a JSON merge patch (RFC 7396) of
// the In type.
package v1

// Error is the envelope of every refusal.
type Error struct {
	Error     string    `json:"error" doc:"What went wrong, as a constant" example:"NOT_FOUND"`
	Message   string    `json:"message" doc:"One sentence for a person"`
	RequestID string    `json:"request_id,omitempty" doc:"Quote it when asking for help"`
	Details   []Problem `json:"details,omitempty" doc:"With VALIDATION_FAILED: the fields that are not acceptable"`

	// With PASSWORD_CHANGE_REQUIRED: a token that opens only /me/password; with
	// MFA_ENROLMENT_REQUIRED: only /me/mfa.
	AccessToken string `json:"access_token,omitempty" doc:"With PASSWORD_CHANGE_REQUIRED: a token that opens only /me/password; with MFA_ENROLMENT_REQUIRED: only /me/mfa"`
	ExpiresIn   int    `json:"expires_in,omitempty" doc:"Its lifetime in seconds, or that of mfa_token"`
	// With MFA_REQUIRED.
	MFAToken string     `json:"mfa_token,omitempty" doc:"With MFA_REQUIRED: what POST /auth/mfa takes, once"`
	Factors  []string   `json:"factors,omitempty" doc:"With MFA_REQUIRED: what can be shown: totp, webauthn, recovery_code"`
	WebAuthn *PublicKey `json:"webauthn,omitempty" doc:"With MFA_REQUIRED, of somebody with a passkey: what the browser is asked"`
	// With CONFLICT on a repeated Idempotency-Key whose answer carried a secret.
	ID string `json:"id,omitempty" doc:"With CONFLICT on a repeated Idempotency-Key: the id of the object that the first request made"`
}

// Problem is one field that is not acceptable. The value itself is never
// repeated.
type Problem struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
}
