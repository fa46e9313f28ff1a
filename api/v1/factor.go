package v1

import "time"

// MFAIn is the body of POST /auth/mfa.
type MFAIn struct {
	MFAToken string `json:"mfa_token" maxLength:"128" doc:"From MFA_REQUIRED"`
	Factor   string `json:"factor" enum:"totp,webauthn,recovery_code"`
	Code     string `json:"code" maxLength:"4096" doc:"Of a passkey: the PublicKeyCredential as JSON"`
}

// PublicKey is what navigator.credentials is called with, once the binary
// fields are decoded from base64url: options for create or get.
type PublicKey struct {
	PublicKey any `json:"publicKey" doc:"PublicKeyCredentialCreationOptionsJSON, or …RequestOptionsJSON (WebAuthn Level 3)"`
}

// PasskeyAsk is what a browser is asked, and the token to answer with.
type PasskeyAsk struct {
	PublicKey
	MFAToken  string `json:"mfa_token" doc:"Serves once"`
	ExpiresIn int    `json:"expires_in" doc:"Seconds"`
}

// PasskeyIn is the body of POST /auth/cookie/passkey/finish.
type PasskeyIn struct {
	MFAToken string `json:"mfa_token" maxLength:"128" doc:"From POST /auth/cookie/passkey"`
	Code     string `json:"code" maxLength:"4096" doc:"The PublicKeyCredential as JSON"`
}

// NewPasskey is what a browser is asked so that it makes a passkey.
type NewPasskey struct {
	PublicKey
	ID string `json:"id"`
}

// PasskeyMade is a new passkey.
type PasskeyMade struct {
	Factor
	RecoveryCodes
}

// FactorIn is the body of PATCH /me/mfa/{id}.
type FactorIn struct {
	Label string `json:"label" minLength:"1" maxLength:"64"`
}

// Factors is how somebody shows more than their password.
type Factors struct {
	Factors           []Factor `json:"factors"`
	RecoveryCodesLeft int      `json:"recovery_codes_left"`
}

// Factor is one second factor.
type Factor struct {
	ID         string     `json:"id"`
	Factor     string     `json:"factor" enum:"totp,webauthn"`
	Label      string     `json:"label"`
	Syncable   bool       `json:"syncable,omitempty" doc:"A passkey that the devices of its owner may share"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

// TOTPIn is the body of POST /me/mfa/totp and of POST /me/mfa/webauthn.
type TOTPIn struct {
	Label string `json:"label,omitempty" maxLength:"64" doc:"To tell it from others"`
}

// TOTP is the secret of an authenticator app, shown this once.
type TOTP struct {
	ID         string `json:"id"`
	Secret     string `json:"secret" doc:"Base32, upper case, without padding"`
	OtpauthURL string `json:"otpauth_url" doc:"For a QR code"`
}

// TOTPConfirmIn is the body of POST /me/mfa/totp/confirm.
type TOTPConfirmIn struct {
	Code string `json:"code" maxLength:"64"`
}

// RecoveryCodes are codes for the day on which a factor is lost, each for one
// use.
type RecoveryCodes struct {
	RecoveryCodes []string `json:"recovery_codes" doc:"Shown this once; none where there are some already"`
}
