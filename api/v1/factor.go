package v1

import "time"

// MFAIn is the body of POST /auth/mfa.
type MFAIn struct {
	MFAToken string `json:"mfa_token" maxLength:"128" doc:"From MFA_REQUIRED"`
	Factor   string `json:"factor" enum:"totp,webauthn,recovery_code"`
	Code     string `json:"code" maxLength:"4096"`
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
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

// TOTPIn is the body of POST /me/mfa/totp.
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
