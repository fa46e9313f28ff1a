package v1

import "time"

// CredentialIn is a secret on its way in; it is never returned.
type CredentialIn struct {
	Kind        string     `json:"kind" enum:"password,ssh_key,ssh_certificate,token,database,tls_client,kubernetes_token,ephemeral"`
	Value       string     `json:"value,omitempty" maxLength:"65536" writeOnly:"true" doc:"Of a password, database, token or kubernetes_token"`
	PrivateKey  string     `json:"private_key,omitempty" maxLength:"65536" writeOnly:"true" doc:"Of an ssh_key, ssh_certificate or tls_client, in PEM or as OpenSSH writes it"`
	Passphrase  string     `json:"passphrase,omitempty" maxLength:"1024" writeOnly:"true" doc:"Of an encrypted private_key; it is not kept"`
	Certificate string     `json:"certificate,omitempty" maxLength:"65536" doc:"Of an ssh_certificate: OpenSSH's line; of a tls_client: PEM, the client's own first"`
	Ephemeral   *Ephemeral `json:"ephemeral,omitempty" doc:"Only with the kind ephemeral, of which no secret is kept"`
}

// Ephemeral says what is made at each launch.
type Ephemeral struct {
	Principals       []string `json:"principals,omitempty" maxItems:"16" nullable:"false" doc:"Of an SSH certificate; empty: the username"`
	TTLSeconds       int      `json:"ttl_seconds,omitempty" minimum:"0" maximum:"86400" doc:"30 to 86400; 0: the default"`
	AdminAccountID   string   `json:"admin_account_id,omitempty" maxLength:"64" doc:"The account that makes and drops the user, from a Safe that you manage"`
	CreateStatements []string `json:"create_statements,omitempty" maxItems:"16" nullable:"false"`
	RevokeStatements []string `json:"revoke_statements,omitempty" maxItems:"16" nullable:"false"`
	Rules            []string `json:"rules,omitempty" maxItems:"64" nullable:"false" doc:"Of a Redis user"`
}

// GenerateIn says what a new secret looks like.
type GenerateIn struct {
	Kind       string        `json:"kind" enum:"password,database,token,ssh_key"`
	Length     int           `json:"length,omitempty" minimum:"0" maximum:"128" doc:"8 to 128; 0: 32"`
	Classes    *CharClasses  `json:"classes,omitempty" doc:"The fewest characters of each class; one that is left out is not used. Without classes: one of each"`
	Symbols    string        `json:"symbols,omitempty" maxLength:"64" doc:"The symbols to use; by default those that mean nothing to shells, URLs and CSV files"`
	Exclude    *string       `json:"exclude,omitempty" maxLength:"256" doc:"Characters that are never used; by default those that people take for one another"`
	Passphrase *PassphraseIn `json:"passphrase,omitempty" doc:"Words instead of characters"`
	Algorithm  string        `json:"algorithm,omitempty" enum:"ed25519,ecdsa-p256,ecdsa-p384,ecdsa-p521,rsa-3072,rsa-4096" doc:"Of an ssh_key; ed25519 by default"`
}

// CharClasses are the fewest characters of each class.
type CharClasses struct {
	Lower  *int `json:"lower,omitempty" minimum:"0" maximum:"128"`
	Upper  *int `json:"upper,omitempty" minimum:"0" maximum:"128"`
	Digit  *int `json:"digit,omitempty" minimum:"0" maximum:"128"`
	Symbol *int `json:"symbol,omitempty" minimum:"0" maximum:"128"`
}

// PassphraseIn says what a passphrase looks like.
type PassphraseIn struct {
	Words     int     `json:"words,omitempty" minimum:"0" maximum:"32" doc:"4 to 32, of 16 bits each; 0: 6"`
	Separator *string `json:"separator,omitempty" maxLength:"1" doc:"One space, digit or symbol, or empty; - by default"`
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
	Kind    string `json:"kind"`
	Version int64  `json:"version"`
	CredentialPublic
	RotatedAt     *time.Time `json:"rotated_at,omitempty"`
	RotationState string     `json:"rotation_state"`
	Ephemeral     *Ephemeral `json:"ephemeral,omitempty"`
}

// CredentialPublic is the public half of a secret. Of a token it is what the
// token says of itself, unverified.
type CredentialPublic struct {
	PublicKey   string     `json:"public_key,omitempty" doc:"OpenSSH's line of the key or certificate; for a tls_client the certificate in PEM"`
	Fingerprint string     `json:"fingerprint,omitempty" doc:"SHA-256 of the key; for a tls_client of the certificate"`
	Subject     string     `json:"subject,omitempty"`
	Issuer      string     `json:"issuer,omitempty"`
	Serial      string     `json:"serial,omitempty"`
	Principals  []string   `json:"principals,omitempty"`
	NotBefore   *time.Time `json:"not_before,omitempty"`
	NotAfter    *time.Time `json:"not_after,omitempty"`
}

// CredentialVersion is one entry of a credential's history.
type CredentialVersion struct {
	Version int64  `json:"version"`
	Kind    string `json:"kind"`
	CredentialPublic
	CreatedBy     string     `json:"created_by"`
	CreatedByName string     `json:"created_by_name,omitempty"`
	CreatedAt     time.Time  `json:"created_at"`
	Promoted      bool       `json:"promoted"`
	State         string     `json:"state" enum:"stored,candidate,rejected,purged"`
	PurgedAt      *time.Time `json:"purged_at,omitempty"`
	PurgedBy      string     `json:"purged_by,omitempty"`
	PurgedByName  string     `json:"purged_by_name,omitempty"`
}

// PurgeIn says how many versions stay.
type PurgeIn struct {
	Keep int `json:"keep" minimum:"1" maximum:"10000" doc:"The newest that stay; what is in use stays in any case"`
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

// AccountImportIn brings in many accounts: as rows, or as a CSV file.
type AccountImportIn struct {
	DryRun          bool               `json:"dry_run,omitempty" doc:"Say what would become of each row, and change nothing"`
	CreateResources bool               `json:"create_resources,omitempty" doc:"Make the resources that are not there"`
	Update          bool               `json:"update,omitempty" doc:"Store a new version for accounts that have a credential; otherwise they are skipped"`
	CSV             string             `json:"csv,omitempty" maxLength:"921600" writeOnly:"true" doc:"Instead of rows; docs/accounts.md lists the columns"`
	Rows            []AccountImportRow `json:"rows,omitempty" maxItems:"500" nullable:"false"`
}

// AccountImportRow is one account that is to be there.
type AccountImportRow struct {
	Name       string        `json:"name,omitempty" doc:"The username and the host, if it is left out"`
	Username   string        `json:"username,omitempty"`
	Credential *CredentialIn `json:"credential,omitempty"`
	Resource   string        `json:"resource,omitempty" doc:"An id or a slug, instead of an address"`
	URL        string        `json:"url,omitempty" doc:"As ssh://host:port; of it, type, host and port are taken"`
	Type       string        `json:"type,omitempty"`
	Host       string        `json:"host,omitempty"`
	Port       int           `json:"port,omitempty" minimum:"0" maximum:"65535"`
}

// AccountImport is what became of an import, or would become.
type AccountImport struct {
	DryRun  bool                  `json:"dry_run"`
	Created int                   `json:"created"`
	Updated int                   `json:"updated"`
	Skipped int                   `json:"skipped"`
	Failed  int                   `json:"failed"`
	Rows    []AccountImportResult `json:"rows" nullable:"false"`
}

// AccountImportResult is the outcome of one row.
type AccountImportResult struct {
	Row             int       `json:"row" doc:"From 1"`
	Action          string    `json:"action" enum:"create,update,skip,error"`
	Name            string    `json:"name,omitempty" doc:"Not of a row in error, where it may be anything"`
	AccountID       string    `json:"account_id,omitempty"`
	ResourceID      string    `json:"resource_id,omitempty"`
	CreatesResource bool      `json:"creates_resource,omitempty"`
	Details         []Problem `json:"details,omitempty"`
}
