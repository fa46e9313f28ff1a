package v1

import "time"

// SSHAuthority is a key that signs SSH certificates of users.
type SSHAuthority struct {
	Number     int64     `json:"number"`
	PublicKey  string    `json:"public_key" doc:"A line for TrustedUserCAKeys"`
	Active     bool      `json:"active" doc:"It signs now"`
	ActiveFrom time.Time `json:"active_from"`
	CreatedAt  time.Time `json:"created_at"`
}

// SSHCA is what targets have to trust for accounts of the kind ephemeral.
type SSHCA struct {
	Keys       []SSHAuthority `json:"keys"`
	PublicKeys string         `json:"trusted_user_ca_keys" doc:"The content of the file that TrustedUserCAKeys names"`
	KRLPath    string         `json:"krl_path" doc:"Where targets fetch the file that RevokedKeys names"`
	HowTo      []string       `json:"sshd_config" doc:"Lines for sshd_config"`
}

// SSHCARotateIn says when the new authority begins to sign.
type SSHCARotateIn struct {
	ActivateAfterSeconds int `json:"activate_after_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"Time for targets to learn of it"`
}
