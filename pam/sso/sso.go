// Package sso is others' word for people and machines: the providers that an
// organization believes, whom their subjects are here, and what follows from
// what they say.
//
// It owns providers, identities, sign-ins on their way, and the rules by which
// claims become groups, roles and tokens. It must not know a protocol, nor what
// a login is. Start at [Provider] and [Service.Finish].
package sso

import (
	"context"
	"io"
	"net/netip"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Limits.
const (
	MaxProviders = 20  // of one organization
	MaxRules     = 200 // of one provider
	MaxWorkloads = 200 // rules of one organization
	MaxTTL       = time.Hour
	AttemptTTL   = 10 * time.Minute

	maxGroups   = 20 // of one rule
	maxDomains  = 50
	maxScopes   = 20
	maxValue    = 256
	maxAttempts = 10_000 // on their way at a time: anybody may begin one
)

// Settings are what an administrator says of a provider.
type Settings struct {
	Name        string
	Kind        Kind     // stays as it was made
	Issuer      string   // what identities are keyed by
	ClientID    string   // OpenID Connect alone
	Scopes      []string // beside openid; OpenID Connect alone
	Domains     []string // of the e-mail addresses that it may vouch for; none: any
	GroupClaim  string   // whose values the rules are about
	Rules       []Rule
	Creates     bool     // makes users of people who are not here yet
	DefaultRole pam.Role // of those that no rule gives one
	TrustsMFA   bool     // its word that a second factor was shown counts
	Enabled     bool
	Details
}

// Rule is what a value of the group claim gives.
type Rule struct {
	Value  string        `json:"value"`
	Groups []pam.GroupID `json:"groups"`
	Role   pam.Role      `json:"role,omitempty"` // never owner; "": none
}

// Provider is somebody whose word an organization believes.
type Provider struct {
	ID  pam.ProviderID
	Org pam.OrgID
	Settings
	Sealed        []byte // what we show the provider: a client's secret; nil without one
	SecretVersion int64
	SyncedAt      time.Time // when a job last tried to read what the provider says; zero: never
	SyncProblem   string    // what was wrong then; "": nothing
	TrustedAt     time.Time // when it came to be believed as it is now: it, and whom it may vouch for
	Version       int64
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Feeds are the groups that a provider fills, each once.
func (p Settings) Feeds() []pam.GroupID {
	var out []pam.GroupID
	for _, r := range p.Rules {
		out = append(out, r.Groups...)
	}
	return single(out)
}

func (p Provider) party() audit.Party {
	return audit.Party{Type: "sso_provider", ID: string(p.ID), Name: p.Name}
}

// Cursor is the provider's place in a list.
func (p Provider) Cursor() string {
	return naming.Cursor{Key: naming.Key(p.Name), ID: string(p.ID)}.String()
}

// How an identity came to be.
const (
	BySelf    = "self"    // linked by the person, while signed in
	ByEmail   = "email"   // by a verified address of a person at home here
	ByCreated = "created" // the person was made with it
)

// Identity is whom a subject of an issuer is here.
type Identity struct {
	ID          pam.IdentityID
	Org         pam.OrgID
	Issuer      string
	Subject     string
	User        pam.UserID
	Email       string // as it was asserted the last time
	LinkedBy    string
	CreatedAt   time.Time
	LastLoginAt time.Time
}

// Person is what a decision about somebody rests on.
type Person struct {
	User          pam.UserID
	Email         string
	Home          pam.OrgID
	Role          pam.Role // in the organization; "" for an outsider
	Active        bool
	Machine       bool
	InstanceAdmin bool
	Password      bool // has one
	SignsIn       bool // by a password, or by an account that is linked here
}

// Attempt is a sign-in on its way.
type Attempt struct {
	State, Browser [32]byte // hashes
	Org            pam.OrgID
	Provider       pam.ProviderID
	Link           pam.UserID // who wants to link an identity; "" for a sign-in
	Fresh          bool
	CreatedAt      time.Time
	ExpiresAt      time.Time
}

// Arrival is what becomes of a person whom a provider has vouched for.
type Arrival struct {
	Identity Identity
	New      bool     // the identity is to be made; else it is there
	Person   *NewUser // to be made with it
	Role     pam.Role // to have from now on; "": as it was
	RoleWas  pam.Role
	Join     []pam.GroupID
	Leave    []pam.GroupID
	At       time.Time
	Provider pam.ProviderID // that has vouched, as it was in
	Version  int64
}

// NewUser is a person who comes to be by signing in.
type NewUser struct {
	Email string
	Name  string
}

// Gives is what a change gives roles by: the groups that are fed, or the
// service user that is lent, and the Safes in which that had a role when it was
// decided. If it has one in another by now, the change is a Conflict.
type Gives struct {
	Groups []pam.GroupID
	User   pam.UserID
	Safes  []pam.SafeID
}

// Store keeps all of this. Everything that it changes is durable when it
// returns.
type Store interface {
	// CreateSSOProvider is a Conflict where the name is taken, there are
	// MaxProviders, or another provider could speak of the same identities (only
	// several of OpenID Connect may have one issuer: that is an address, and all of
	// them ask whoever is there), and Invalid where a rule names a group that a claim does not
	// fill.
	CreateSSOProvider(ctx context.Context, org pam.OrgID, p Provider, g Gives, e audit.Entry) error
	SSOProvider(ctx context.Context, org pam.OrgID, id pam.ProviderID) (Provider, error)
	SSOProviders(ctx context.Context, org pam.OrgID) ([]Provider, error) // by name
	// UpdateSSOProvider replaces one that still has version, else it is a
	// Precondition. Groups that nobody feeds any more are emptied. With ends, the
	// logins that rest on it end, and the sessions opened with them.
	UpdateSSOProvider(ctx context.Context, org pam.OrgID, p Provider, version int64, g Gives, ends bool, e audit.Entry) error
	DeleteSSOProvider(ctx context.Context, org pam.OrgID, id pam.ProviderID, version int64, e audit.Entry) error
	// StaleProviders are the enabled ones of a kind, of all organizations, that
	// nobody has read since before, or since failed where something was wrong then;
	// the longest ago first, at most limit.
	StaleProviders(ctx context.Context, k Kind, before, failed time.Time, limit int) ([]Provider, error)
	// ClaimSync says whether it is for the caller to read what a provider says: no
	// one else has since before. It notes that it was done at now.
	ClaimSync(ctx context.Context, org pam.OrgID, id pam.ProviderID, before, now time.Time) (bool, error)
	// NoteSync keeps what was wrong; "" for nothing.
	NoteSync(ctx context.Context, org pam.OrgID, id pam.ProviderID, problem string) error
	// TakeDetails replaces the details of a provider that still has its version,
	// else it is a Precondition. The version stays: nobody has edited it.
	TakeDetails(ctx context.Context, org pam.OrgID, p Provider, e audit.Entry) error
	// SuspendGone suspends an active member, ends their logins and sessions, and is
	// a Conflict for an owner.
	SuspendGone(ctx context.Context, org pam.OrgID, user pam.UserID, e audit.Entry) error
	// TakeAssertion is a Conflict for one that was taken before.
	TakeAssertion(ctx context.Context, org pam.OrgID, id pam.ProviderID, assertion [32]byte, until, now time.Time) error
	SSOOnly(ctx context.Context, org pam.OrgID) (bool, error)
	// SetSSOOnly is a Conflict where no provider is enabled.
	SetSSOOnly(ctx context.Context, org pam.OrgID, only bool, e audit.Entry) error

	// EnabledProviders are those of the organization with that slug; none where
	// there is no such organization.
	EnabledProviders(ctx context.Context, slug string) ([]Provider, error)
	// CreateAttempt is Unavailable where most are on their way already.
	CreateAttempt(ctx context.Context, a Attempt, most int) error
	// TakeAttempt returns an attempt this once; NotFound where the browser, the
	// provider or the time is another.
	TakeAttempt(ctx context.Context, state, browser [32]byte, p pam.ProviderID, now time.Time) (Attempt, error)
	Identity(ctx context.Context, org pam.OrgID, issuer, subject string) (Identity, error)
	IdentityOf(ctx context.Context, org pam.OrgID, issuer string, user pam.UserID) (Identity, error)
	Identities(ctx context.Context, org pam.OrgID) ([]Identity, error)
	// IdentitiesOfUser are a user's own, in one organization or in all.
	IdentitiesOfUser(ctx context.Context, user pam.UserID, only pam.OrgID) ([]Identity, error)
	// Unlink removes an identity, ends the logins made by it and the sessions
	// opened with them. It is NotFound for one of another user.
	Unlink(ctx context.Context, org pam.OrgID, id pam.IdentityID, user pam.UserID, e audit.Entry) error
	Person(ctx context.Context, org pam.OrgID, user pam.UserID) (Person, error)
	PersonByEmail(ctx context.Context, org pam.OrgID, email string) (Person, error)
	// HeldBefore says whether the user has a role in a Safe, also by a group, for
	// which a manager has given their word before t and not since.
	HeldBefore(ctx context.Context, org pam.OrgID, user pam.UserID, t time.Time) (bool, error)
	// GroupsAmong are those of the groups that the user is in.
	GroupsAmong(ctx context.Context, org pam.OrgID, user pam.UserID, groups []pam.GroupID) ([]pam.GroupID, error)
	// Arrive is a Conflict where what it rests on has changed.
	Arrive(ctx context.Context, org pam.OrgID, a Arrival, entries ...audit.Entry) error

	// CreateWorkloadRule is Invalid where the user is no service user here.
	CreateWorkloadRule(ctx context.Context, org pam.OrgID, r WorkloadRule, g Gives, e audit.Entry) error
	WorkloadRule(ctx context.Context, org pam.OrgID, id pam.WorkloadRuleID) (WorkloadRule, error)
	WorkloadRules(ctx context.Context, org pam.OrgID) ([]WorkloadRule, error) // by name
	// UpdateWorkloadRule and DeleteWorkloadRule end the tokens given by it.
	UpdateWorkloadRule(ctx context.Context, org pam.OrgID, r WorkloadRule, version int64, g Gives, e audit.Entry) error
	DeleteWorkloadRule(ctx context.Context, org pam.OrgID, id pam.WorkloadRuleID, version int64, e audit.Entry) error
	// RulesOfIssuer are the enabled ones of an organization, named by id or slug.
	RulesOfIssuer(ctx context.Context, org, issuer string) (pam.OrgID, []WorkloadRule, error)

	SafesOfGroup(ctx context.Context, org pam.OrgID, id pam.GroupID) ([]pam.SafeID, error)
	SafesOfUser(ctx context.Context, org pam.OrgID, user pam.UserID) ([]pam.SafeID, error)
	ManagedSafes(ctx context.Context, org pam.OrgID, user pam.UserID, now time.Time) ([]pam.SafeID, error)
}

// Trust is what makes us a client of a provider.
type Trust struct {
	Issuer      string
	ClientID    string
	Secret      secret.Value
	Scopes      []string
	RedirectURL string
}

// Ask is what goes with a person to the provider.
type Ask struct {
	State, Nonce, Verifier string
	Fresh                  bool
	Hint                   string
}

// Answer is what they come back with.
type Answer struct {
	Code, Issuer, Error string
	Nonce, Verifier     string
}

// Claims is what a provider says of somebody, checked but for what it means.
type Claims struct {
	Subject string
	All     map[string]any // as JSON decodes them
}

// OIDC speaks the protocol. Its refusals are Errors of kind AuthFailed, or
// Unreachable where the provider is to blame, with a sentence for people.
type OIDC interface {
	// URLProblem says what is wrong with the address of an issuer; "" for nothing.
	URLProblem(issuer string) string
	Check(ctx context.Context, issuer string) error
	AuthURL(ctx context.Context, t Trust, a Ask) (string, error)
	Exchange(ctx context.Context, t Trust, a Answer) (Claims, error)
	Verify(ctx context.Context, issuer, audience, token string) (Claims, error)
}

// Deps is what a Service works with.
type Deps struct {
	Store  Store
	Sealer pam.Sealer
	OIDC   OIDC
	SAML   SAML
	LDAP   LDAP
	Brake  Brake
	URL    func() string // under which people reach the console, without a slash at its end
	// Counted says whether a failure from there is to be written by itself:
	// beyond a limit, failures are counted and written together.
	Counted    func(from netip.Addr) bool
	Events     Events
	Observe    func(what string, err error) // "login" or "workload", for metrics
	ValidScope func(string) bool
	Scribe     *audit.Scribe
	Clock      clock.Clock
	IDs        *ids.Source
	Rand       io.Reader
}

// Events writes events that report no change. audit.Store satisfies it.
type Events interface {
	Append(ctx context.Context, org pam.OrgID, entries ...audit.Entry) error
}

// Client is where a request comes from.
type Client struct {
	From      netip.Addr
	RequestID string
}

// Service is what the edges ask. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service { return &Service{d} }
