package v1

import "time"

// WorkloadRuleIn says which programs get a token, and as whom.
type WorkloadRuleIn struct {
	Name       string              `json:"name" maxLength:"64"`
	Issuer     string              `json:"issuer" maxLength:"2048" doc:"Exactly as it stands in the tokens"`
	Conditions []WorkloadCondition `json:"conditions" maxItems:"20" doc:"At least one; all have to hold"`
	UserID     string              `json:"user_id" maxLength:"64" doc:"A service user of the organization"`
	Scopes     []string            `json:"scopes" doc:"As of a personal access token"`
	TTLSeconds int                 `json:"ttl_seconds,omitempty" doc:"60 to 3600; default 900"`
	Enabled    *bool               `json:"enabled,omitempty" doc:"Default true"`
}

// WorkloadCondition is a claim with the one value that it must have.
type WorkloadCondition struct {
	Claim string `json:"claim" maxLength:"256" doc:"Such as sub"`
	Value string `json:"value" maxLength:"1024"`
}

// WorkloadRule is such a rule.
type WorkloadRule struct {
	ID string `json:"id"`
	WorkloadRuleIn
	Audience  string    `json:"audience" doc:"What the tokens must be for, and nothing else"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// TokenExchangeIn is the body of POST /auth/token-exchange, in the words of
// RFC 8693.
type TokenExchangeIn struct {
	GrantType        string `json:"grant_type" enum:"urn:ietf:params:oauth:grant-type:token-exchange"`
	SubjectToken     string `json:"subject_token" maxLength:"16384" doc:"The program's own token"`
	SubjectTokenType string `json:"subject_token_type,omitempty" enum:"urn:ietf:params:oauth:token-type:jwt,urn:ietf:params:oauth:token-type:id_token"`
	Scope            string `json:"scope,omitempty" maxLength:"4096" doc:"Fewer scopes than the rule gives, with spaces between"`
	Organization     string `json:"organization" maxLength:"64" doc:"Its id or slug"`
}

// TokenExchange is the answer.
type TokenExchange struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int    `json:"expires_in" doc:"Seconds"`
	Scope           string `json:"scope"`
	OrgID           string `json:"org_id"`
}
