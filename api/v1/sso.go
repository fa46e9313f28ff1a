package v1

import "time"

// SSOSettings is how people sign in to the organization.
type SSOSettings struct {
	SSOOnly          bool   `json:"sso_only" doc:"People at home here sign in by a provider of the organization; owners with their password, too"`
	LoginURL         string `json:"login_url" readOnly:"true" doc:"The page with the organization's providers"`
	WorkloadAudience string `json:"workload_audience" readOnly:"true" doc:"What the tokens of programs must be for"`
}

// SSOSettingsIn is the body of PATCH /org/sso.
type SSOSettingsIn struct {
	SSOOnly bool `json:"sso_only"`
}

// SSOProviderIn is what an administrator says of a provider.
type SSOProviderIn struct {
	Name           string    `json:"name" maxLength:"64"`
	Type           string    `json:"type,omitempty" enum:"oidc,saml,ldap" doc:"Default oidc; stays as it was made"`
	Issuer         string    `json:"issuer,omitempty" maxLength:"2048" doc:"Exactly as the provider writes it; of saml it stands in the metadata"`
	ClientID       string    `json:"client_id,omitempty" maxLength:"256" doc:"Of oidc"`
	ClientSecret   *string   `json:"client_secret,omitempty" maxLength:"4096" writeOnly:"true" doc:"Absent: as it was; empty: a client without one. Of ldap: the password of the account that searches"`
	Scopes         []string  `json:"scopes,omitempty" maxItems:"20" doc:"Beside openid; default profile, email"`
	AllowedDomains []string  `json:"allowed_domains,omitempty" maxItems:"50" doc:"Of the addresses that it may vouch for; none: any"`
	GroupClaim     string    `json:"group_claim,omitempty" maxLength:"256"`
	Rules          []SSORule `json:"rules,omitempty" maxItems:"200" doc:"What values of the group claim give"`
	CreateUsers    bool      `json:"create_users,omitempty" doc:"Makes users of people with a verified address who are not here yet"`
	DefaultRole    string    `json:"default_role,omitempty" enum:"admin,policy_manager,operator,auditor" doc:"Default operator"`
	TrustMFA       bool      `json:"trust_mfa,omitempty" doc:"Its word (amr) that a second factor was shown counts"`
	Enabled        bool      `json:"enabled,omitempty"`
	SAML           *SAMLIn   `json:"saml,omitempty" doc:"Of saml"`
	LDAP           *LDAPIn   `json:"ldap,omitempty" doc:"Of ldap"`
}

// SAMLIn is what only a provider of SAML 2.0 has.
type SAMLIn struct {
	Metadata         *string  `json:"metadata,omitempty" maxLength:"262144" writeOnly:"true" doc:"The provider's metadata, XML; absent: as it was"`
	MetadataURL      string   `json:"metadata_url,omitempty" maxLength:"2048" doc:"Where it is read instead, now and once a day"`
	SubjectAttribute string   `json:"subject_attribute,omitempty" maxLength:"256" doc:"Says who somebody is; default the persistent NameID"`
	EmailAttribute   string   `json:"email_attribute,omitempty" maxLength:"256" doc:"Default those that are common"`
	NameAttribute    string   `json:"name_attribute,omitempty" maxLength:"256" doc:"Default those that are common"`
	MFAContexts      []string `json:"mfa_contexts,omitempty" maxItems:"20" doc:"AuthnContextClassRef that show a second factor; default those of REFEDS and Microsoft"`
}

// LDAPIn is what only a directory has.
type LDAPIn struct {
	URLs             []string `json:"urls" maxItems:"5" doc:"ldaps://host, or ldap://host, where STARTTLS is required; the first that answers is asked"`
	CA               string   `json:"ca,omitempty" maxLength:"65536" doc:"Certificates in PEM that vouch for the servers; default those of the system"`
	BindDN           string   `json:"bind_dn,omitempty" maxLength:"1024" doc:"Of the account that searches, whose password is client_secret; default nobody's"`
	BaseDN           string   `json:"base_dn" maxLength:"1024" doc:"Below which people are"`
	UserFilter       string   `json:"user_filter,omitempty" maxLength:"1024" doc:"{username} stands for what is typed; default (|(uid={username})(mail={username}))"`
	SubjectAttribute string   `json:"subject_attribute,omitempty" maxLength:"64" doc:"Identifies people for good; default entryUUID, of Active Directory objectGUID"`
	EmailAttribute   string   `json:"email_attribute,omitempty" maxLength:"64" doc:"Default mail"`
	NameAttribute    string   `json:"name_attribute,omitempty" maxLength:"64" doc:"Default displayName"`
	GroupBaseDN      string   `json:"group_base_dn,omitempty" maxLength:"1024" doc:"Below which groups are searched; default: memberOf says them"`
	GroupFilter      string   `json:"group_filter,omitempty" maxLength:"1024" doc:"{dn} and {username} stand for the person's; default (|(member={dn})(uniqueMember={dn}))"`
}

// SSORule is what one value of the group claim gives.
type SSORule struct {
	Value    string   `json:"value" maxLength:"256"`
	GroupIDs []string `json:"group_ids,omitempty" maxItems:"20" doc:"Groups with source claim"`
	Role     string   `json:"role,omitempty" enum:"admin,policy_manager,operator,auditor"`
}

// SSOProvider is somebody who vouches for people.
type SSOProvider struct {
	ID             string    `json:"id"`
	Type           string    `json:"type" enum:"oidc,saml,ldap"`
	Name           string    `json:"name"`
	Issuer         string    `json:"issuer"`
	ClientID       string    `json:"client_id"`
	HasSecret      bool      `json:"has_secret"`
	Scopes         []string  `json:"scopes"`
	AllowedDomains []string  `json:"allowed_domains"`
	GroupClaim     string    `json:"group_claim"`
	Rules          []SSORule `json:"rules"`
	CreateUsers    bool      `json:"create_users"`
	DefaultRole    string    `json:"default_role"`
	TrustMFA       bool      `json:"trust_mfa"`
	Enabled        bool      `json:"enabled"`
	CallbackURL    string    `json:"callback_url" doc:"To be registered with the provider as redirect URI, of saml as assertion consumer service"`
	SAML           *SAML     `json:"saml,omitempty"`
	LDAP           *LDAP     `json:"ldap,omitempty"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

// SAML is what only a provider of SAML 2.0 has.
type SAML struct {
	EntityID         string            `json:"entity_id" doc:"Ours, to be registered with the provider; our metadata is there"`
	MetadataURL      string            `json:"metadata_url" doc:"Of the provider; empty: it was brought"`
	SubjectAttribute string            `json:"subject_attribute"`
	EmailAttribute   string            `json:"email_attribute"`
	NameAttribute    string            `json:"name_attribute"`
	MFAContexts      []string          `json:"mfa_contexts"`
	Certificates     []SAMLCertificate `json:"certificates" doc:"By which the provider signs"`
	ReadAt           *time.Time        `json:"read_at,omitempty" doc:"When the metadata was last asked for"`
	Problem          string            `json:"problem" doc:"What was wrong then"`
}

// LDAP is what only a directory has.
type LDAP struct {
	LDAPIn
	ReadAt  *time.Time `json:"read_at,omitempty" doc:"When people and groups were last read"`
	Problem string     `json:"problem" doc:"What was wrong then"`
}

// LDAPSyncIn is the body of POST /org/sso/providers/{id}/sync.
type LDAPSyncIn struct {
	All bool `json:"all,omitempty" doc:"Suspends all who are not in the directory any more, however many"`
}

// SAMLCertificate is one of a provider's.
type SAMLCertificate struct {
	SHA256   string    `json:"sha256" doc:"Hex, of the DER"`
	NotAfter time.Time `json:"not_after"`
}

// SSOTest is whether a provider's documents can be read.
type SSOTest struct {
	OK      bool   `json:"ok"`
	Problem string `json:"problem,omitempty"`
}

// SSOIdentity is whom a provider's subject is here.
type SSOIdentity struct {
	ID          string     `json:"id"`
	OrgID       string     `json:"org_id"`
	UserID      string     `json:"user_id"`
	Issuer      string     `json:"issuer"`
	Subject     string     `json:"subject"`
	Email       string     `json:"email" doc:"As the provider has said it the last time"`
	LinkedBy    string     `json:"linked_by" enum:"self,email,created"`
	CreatedAt   time.Time  `json:"created_at"`
	LastLoginAt *time.Time `json:"last_login_at,omitempty"`
}

// SSOOffers are the ways to sign in to an organization.
type SSOOffers struct {
	Providers []SSOOffer `json:"providers"`
}

// SSOOffer is one of them.
type SSOOffer struct {
	ID   string `json:"id"`
	Type string `json:"type" enum:"oidc,saml,ldap" doc:"How one signs in by it; by ldap with user name and password, in the console"`
	Name string `json:"name"`
}

// SSOStartIn is the body of POST /auth/sso/start.
type SSOStartIn struct {
	Organization string `json:"organization" maxLength:"64" doc:"Its slug"`
	ProviderID   string `json:"provider_id" maxLength:"64"`
	Fresh        bool   `json:"fresh,omitempty" doc:"The provider is to ask who you are, even if it knows"`
	Email        string `json:"email,omitempty" maxLength:"320" doc:"Handed on as a hint"`
}

// SSOLinkIn is the body of POST /me/sso-identities.
type SSOLinkIn struct {
	OrgID      string `json:"org_id" maxLength:"64"`
	ProviderID string `json:"provider_id" maxLength:"64"`
}

// SSOStart is where the browser goes.
type SSOStart struct {
	URL string `json:"url"`
}

// SSOFinishIn is the body of POST /auth/sso/finish: what the provider has sent
// the browser back with.
type SSOFinishIn struct {
	ProviderID string `json:"provider_id" maxLength:"64" doc:"From the path of the redirect address"`
	State      string `json:"state" maxLength:"256"`
	Code       string `json:"code,omitempty" maxLength:"4096"`
	Iss        string `json:"iss,omitempty" maxLength:"2048"`
	Error      string `json:"error,omitempty" maxLength:"256"`
	// The state is the RelayState then.
	SAMLResponse string `json:"saml_response,omitempty" maxLength:"400000" doc:"Of saml, as the provider's page has posted it"`
	Username     string `json:"username,omitempty" maxLength:"256" doc:"Of ldap"`
	Password     string `json:"password,omitempty" maxLength:"1024" doc:"Of ldap"`
}

// SSOFinish is a login by cookie, or an account that was linked.
type SSOFinish struct {
	Linked bool          `json:"linked"`
	Login  *ConsoleLogin `json:"login,omitempty"`
}
