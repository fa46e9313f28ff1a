package v1

import "time"

// DeviceIn asks for a login on behalf of a program without a browser.
type DeviceIn struct {
	ClientName string `json:"client_name,omitempty" maxLength:"256" doc:"What the person reads who approves; at most 64 characters"`
}

// DeviceCodes are what such a program goes on with (RFC 8628 section 3.2).
type DeviceCodes struct {
	DeviceCode              string `json:"device_code" doc:"For POST /auth/device/token; shown to nobody"`
	UserCode                string `json:"user_code" doc:"What the person types"`
	VerificationURI         string `json:"verification_uri" doc:"Where they type it; relative to this server if it was not told its public URL"`
	VerificationURIComplete string `json:"verification_uri_complete" doc:"The same with the code"`
	ExpiresIn               int    `json:"expires_in" doc:"Seconds"`
	Interval                int    `json:"interval" doc:"Seconds to wait between two questions"`
}

// DeviceTokenIn asks whether the login is there.
type DeviceTokenIn struct {
	DeviceCode string `json:"device_code" maxLength:"128"`
}

// DeviceToken is how far the request has come, and the login once it is
// approved, this once.
type DeviceToken struct {
	Status      string `json:"status" enum:"pending,approved,denied,expired"`
	AccessToken string `json:"access_token,omitempty"`
	ExpiresIn   int    `json:"expires_in,omitempty" doc:"Seconds"`
}

// DeviceRequest is what a person sees of a program that asks for their login.
type DeviceRequest struct {
	UserCode   string    `json:"user_code"`
	Kind       string    `json:"kind" enum:"login,connection" doc:"login: a program asks for a login; connection: one of yours waits for your second factor"`
	Status     string    `json:"status" enum:"pending,approved,denied"`
	ClientName string    `json:"client_name"`
	ClientIP   string    `json:"client_ip"`
	UserAgent  string    `json:"user_agent"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}
