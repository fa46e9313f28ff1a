package v1

import "time"

// CredentialIn is a secret on its way in; it is never returned.
type CredentialIn struct {
	Kind       string `json:"kind" enum:"password,ssh_key,ssh_certificate,token,database,tls_client,kubernetes_token,ephemeral"`
	Value      string `json:"value,omitempty" maxLength:"65536" writeOnly:"true"`
	PrivateKey string `json:"private_key,omitempty" maxLength:"65536" writeOnly:"true"`
	Passphrase string `json:"passphrase,omitempty" maxLength:"1024" writeOnly:"true"`
}

// AccountIn is what a client writes of an account.
type AccountIn struct {
	Name       string        `json:"name" maxLength:"256"`
	Slug       string        `json:"slug,omitempty" maxLength:"64"`
	Username   string        `json:"username" maxLength:"256"`
	ResourceID *string       `json:"resource_id,omitempty" maxLength:"64" doc:"Null: a domain account"`
	Credential *CredentialIn `json:"credential,omitempty" doc:"Only at creation; later PUT /accounts/{id}/credential"`
}

// AccountPatch is what PATCH changes of an account.
type AccountPatch struct {
	Name       string  `json:"name" maxLength:"256"`
	Slug       string  `json:"slug,omitempty" maxLength:"64"`
	Username   string  `json:"username" maxLength:"256"`
	ResourceID *string `json:"resource_id,omitempty" maxLength:"64"`
}

// Credential is what may be known of a secret.
type Credential struct {
	Kind          string     `json:"kind"`
	Version       int64      `json:"version"`
	PublicKey     string     `json:"public_key,omitempty"`
	RotatedAt     *time.Time `json:"rotated_at,omitempty"`
	RotationState string     `json:"rotation_state"`
}

// CredentialVersion is one entry of a credential's history.
type CredentialVersion struct {
	Version   int64     `json:"version"`
	Kind      string    `json:"kind"`
	PublicKey string    `json:"public_key,omitempty"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
	Promoted  bool      `json:"promoted"`
}

// Account is a login identity on a target.
type Account struct {
	ID             string      `json:"id"`
	Name           string      `json:"name"`
	Slug           string      `json:"slug"`
	Username       string      `json:"username"`
	ResourceID     *string     `json:"resource_id"`
	ResourceName   string      `json:"resource_name,omitempty"`
	Credential     *Credential `json:"credential"`
	CreatedAt      time.Time   `json:"created_at"`
	UpdatedAt      time.Time   `json:"updated_at"`
	ConfirmationID string      `json:"confirmation_id,omitempty"`
}

// CredentialCheckIn says where a login check is made.
type CredentialCheckIn struct {
	ResourceID string `json:"resource_id,omitempty" maxLength:"64" doc:"Needed for a domain account"`
}

// CredentialCheck is the outcome of a login with the credential.
type CredentialCheck struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}
