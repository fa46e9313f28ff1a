// Package identity is who somebody is: passwords, logins, tokens and SSH
// keys, and from any of these the Actor who asks.
//
// It owns authentication. It must not decide what an actor may do. Start at
// [Service.Login] and [Service.Authenticate].
package identity

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// User is a person or a machine.
type User struct {
	ID            pam.UserID
	Email         string
	Name          string
	HomeOrg       pam.OrgID
	ActiveOrg     pam.OrgID // the last used one
	InstanceAdmin bool
	PasswordHash  string // PHC string; "": none
	MustChange    bool
	CreatedAt     time.Time
}

// Purpose limits what a login opens.
type Purpose string

// The purposes of a login.
const (
	Everything     Purpose = ""
	PasswordChange Purpose = "password" // nothing but changing the password
	MFAEnrolment   Purpose = "mfa"      // nothing but enrolling a second factor
	Console        Purpose = "console"  // everything, but by the console's cookie alone; ends when it is not used
)

// Login is one sign-in of a person.
type Login struct {
	ID        pam.LoginID
	User      pam.UserID
	TokenHash [32]byte
	Purpose   Purpose
	CreatedAt time.Time
	ExpiresAt time.Time
	StepUpAt  time.Time
	UsedAt    time.Time // of the console, to the minute; zero for others
	ClientIP  string
	UserAgent string
	Vouched
}

// Vouched is on whose word a login rests, if not on what the person knows or
// has: then it is valid in one organization alone.
type Vouched struct {
	Only         pam.OrgID // ""
	Provider     pam.ProviderID
	Identity     pam.IdentityID
	SecondFactor bool // one was shown, or the provider says so
}

// AccessToken is a personal access token.
type AccessToken struct {
	ID         pam.TokenID
	Org        pam.OrgID
	User       pam.UserID
	Name       string
	Scopes     []string
	TokenHash  [32]byte
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastUsedAt time.Time
	Workload   pam.WorkloadRuleID // that has given it; "": the user has made it
}

// SSHKey is a registered public key.
type SSHKey struct {
	ID          pam.KeyID
	User        pam.UserID
	Name        string
	PublicKey   string    // OpenSSH line without comment
	Fingerprint string    // SHA256:…
	Only        pam.OrgID // where it counts, if it was registered with a login that is valid there alone
	CreatedAt   time.Time
	LastUsedAt  time.Time
}

// Place is a user's membership of one organization with what an Actor needs.
type Place struct {
	Org          pam.OrgID
	Role         pam.Role
	Active       bool
	Invited      bool // not Active before the user accepts
	AdminsSeeAll bool
	DualControl  bool
	SSOOnly      bool // people at home there must sign in by its providers
	MFARequired  bool // of this member, whoever's wish it is
	JoinedAt     time.Time
	Groups       []pam.GroupID // of the organization that the user is in
}

// Holder is what a token stands for.
type Holder struct {
	User   User
	Login  *Login       // of a login token
	Token  *AccessToken // of a personal access token
	Places []Place      // the first joined first
}

// Store is what identity needs to have kept. *store.DB satisfies it.
type Store interface {
	UserByEmail(ctx context.Context, email string) (User, error)
	UserByID(ctx context.Context, id pam.UserID) (User, error)
	// PlacesOf lists the user's memberships, the first joined first.
	PlacesOf(ctx context.Context, user pam.UserID) ([]Place, error)
	// HolderByToken is NotFound for an unknown hash.
	HolderByToken(ctx context.Context, hash [32]byte) (Holder, error)
	// CreateLogin is Unauthenticated where what the login rests on is not there,
	// or not enabled, any more.
	CreateLogin(ctx context.Context, l Login, e audit.Entry) error
	LoginsOf(ctx context.Context, user pam.UserID, now time.Time) ([]Login, error)
	StepUpLogin(ctx context.Context, user pam.UserID, id pam.LoginID, at time.Time, e audit.Entry) error
	// FactorsOf lists a user's factors, and counts the codes on paper that are
	// left.
	FactorsOf(ctx context.Context, user pam.UserID) ([]Factor, int, error)
	HasRecoveryCode(ctx context.Context, user pam.UserID, hash [32]byte) (bool, error)
	// AddFactor keeps a factor that is not confirmed yet, in place of another
	// such; Conflict if there are most already.
	AddFactor(ctx context.Context, f Factor, most int) error
	// ConfirmFactor lets a factor count, ends the user's logins but the one,
	// which stays if keep says so and then counts as made with a factor, and
	// stores the codes on paper if there are some. Conflict: it is confirmed
	// already.
	ConfirmFactor(ctx context.Context, u FactorUse, by pam.LoginID, keep bool, recovery [][32]byte, entries ...audit.Entry) error
	RenameFactor(ctx context.Context, user pam.UserID, id pam.FactorID, label string, e audit.Entry) error
	// UserByPasskey is whose key that is; NotFound for nobody's.
	UserByPasskey(ctx context.Context, credential []byte) (User, error)
	// CreatePasskeyChallenge is Unavailable where most wait already.
	CreatePasskeyChallenge(ctx context.Context, c PasskeyChallenge, most int) error
	// PasskeyChallengeByToken is NotFound for what is over.
	PasskeyChallengeByToken(ctx context.Context, hash [32]byte, now time.Time) (PasskeyChallenge, error)
	SetRecoveryCodes(ctx context.Context, user pam.UserID, hashes [][32]byte, e audit.Entry) error
	// RemoveFactor ends the user's logins but the one; NotFound for a factor of
	// another user.
	RemoveFactor(ctx context.Context, user pam.UserID, id pam.FactorID, by pam.LoginID, entries ...audit.Entry) error
	// UseFactor uses a proof up; so do CreateLoginByFactor and StepUpByFactor.
	// Conflict: it was used, or has gone, meanwhile.
	UseFactor(ctx context.Context, u FactorUse, e audit.Entry) error
	StepUpByFactor(ctx context.Context, u FactorUse, id pam.LoginID, e audit.Entry) error
	// CreateLoginByFactor ends a challenge with a login; Conflict if it was
	// ended.
	CreateLoginByFactor(ctx context.Context, l Login, u FactorUse, challenge *[32]byte, entries ...audit.Entry) error
	// CreateChallenge forgets the oldest of the user's where there are most.
	CreateChallenge(ctx context.Context, c Challenge, most int, e audit.Entry) error
	// ChallengeByToken is NotFound for what is over.
	ChallengeByToken(ctx context.Context, hash [32]byte, now time.Time) (Challenge, error)
	// FailChallenge counts a wrong code, and ends the challenge with the last
	// that it may have.
	FailChallenge(ctx context.Context, hash [32]byte, most int) error
	// EndLogin is NotFound for a login of another user.
	EndLogin(ctx context.Context, user pam.UserID, id pam.LoginID, e audit.Entry) error
	// RevokeLogin is EndLogin, and ends the sessions that were opened with the
	// login. So do RevokeAccessToken and RemoveSSHKey with theirs.
	RevokeLogin(ctx context.Context, user pam.UserID, id pam.LoginID, e audit.Entry) error
	// SetPassword stores a hash, on behalf of one of the user's logins: if that
	// has ended it is Unauthenticated, and nothing is stored. It clears
	// MustChange, ends all logins but the one, which stays if keep says so, and
	// ends the sessions that were opened with these or with the old password.
	SetPassword(ctx context.Context, user pam.UserID, hash string, by pam.LoginID, keep bool, e audit.Entry) error
	// PasswordLinkByToken is NotFound for an unknown hash.
	PasswordLinkByToken(ctx context.Context, hash [32]byte) (PasswordLink, error)
	// ResetPassword uses a link up: it stores a hash, clears MustChange, ends
	// all logins and the sessions that these or the old password have opened.
	// It is NotFound if the link is not valid any more at the time now, or its
	// person no active member of the organization that had it mailed.
	ResetPassword(ctx context.Context, link [32]byte, user pam.UserID, hash string, now time.Time, e audit.Entry) error
	// Rehash replaces a hash by one of the same password with newer
	// parameters, if it still is old.
	Rehash(ctx context.Context, user pam.UserID, old, hash string) error
	SetUserName(ctx context.Context, user pam.UserID, name string, e audit.Entry) error

	CreateAccessToken(ctx context.Context, t AccessToken, e audit.Entry) error
	// CreateWorkloadToken is AuthFailed where the rule is not as it was any
	// more or its user not active, and TooMany where most are valid already.
	CreateWorkloadToken(ctx context.Context, t AccessToken, version int64, most int, e audit.Entry) error
	AccessTokensOf(ctx context.Context, org pam.OrgID, user pam.UserID) ([]AccessToken, error)
	RevokeAccessToken(ctx context.Context, org pam.OrgID, user pam.UserID, id pam.TokenID, e audit.Entry) error

	AddSSHKey(ctx context.Context, k SSHKey, e audit.Entry) error
	SSHKeysOf(ctx context.Context, user pam.UserID) ([]SSHKey, error)
	RemoveSSHKey(ctx context.Context, user pam.UserID, id pam.KeyID, e audit.Entry) error

	// CreateDevice keeps a request for a login, unless there are most already:
	// then it is Unavailable. It forgets those whose time is over.
	CreateDevice(ctx context.Context, d Device, most int) error
	// DeviceByUserCode is NotFound for what does not wait for a decision.
	DeviceByUserCode(ctx context.Context, code string, now time.Time) (Device, error)
	// DeviceByCode is NotFound for what is over.
	DeviceByCode(ctx context.Context, hash [32]byte, now time.Time) (Device, error)
	// DecideDevice stores status, user and login of a pending request. It is
	// NotFound where none waits any more, and Unauthenticated if the login with
	// which it is approved has ended.
	DecideDevice(ctx context.Context, d Device, now time.Time, e audit.Entry) error
	// RedeemDevice turns an approved request into a login. It is Conflict if it
	// is not there any more.
	RedeemDevice(ctx context.Context, d Device, l Login, now time.Time, e audit.Entry) error

	// EndDevice ends an approved request of which no login comes. It is Conflict
	// if it is not there any more.
	EndDevice(ctx context.Context, d Device, now time.Time, e audit.Entry) error

	// Touch notes what was used last; ids that are gone are passed over.
	Touch(ctx context.Context, used Used) error
	// DeleteExpired removes logins and tokens that ended before t.
	DeleteExpired(ctx context.Context, t time.Time) error
}

// Events writes events that report no change. audit.Store satisfies it.
type Events interface {
	Append(ctx context.Context, org pam.OrgID, entries ...audit.Entry) error
}

// Used is what was used since the last Touch.
type Used struct {
	Orgs   map[pam.UserID]pam.OrgID
	Logins map[pam.LoginID]time.Time // of the console
	Tokens map[pam.TokenID]time.Time
	Keys   map[pam.KeyID]time.Time
}

// LoginResult is a new login and its token, shown this once.
type LoginResult struct {
	Token     secret.Value
	ExpiresIn time.Duration
	Login     Login
}

// PasswordChangeError is the refusal of a login whose password was right but must
// be changed first: kind PasswordChangeNeeded, with a token for that alone.
type PasswordChangeError struct{ Result LoginResult }

func (e *PasswordChangeError) Error() string { return "login: the password must be changed first" }

// Unwrap gives the refusal its kind.
func (e *PasswordChangeError) Unwrap() error {
	return &pam.Error{Kind: pam.PasswordChangeNeeded, Op: "login"}
}

// Client is where a request comes from.
type Client struct {
	From      netip.Addr
	RequestID string
	UserAgent string
	// Background says that a page asks on its own, with nobody there: it does
	// not keep a login of the console from ending.
	Background bool
	// Personal says that the request is about the person alone: where they
	// cannot enter an organization without more proof, they enter none.
	Personal bool
}

// MaxTokenDays is PAT_ABSOLUTE_MAX_TTL_DAYS.
const MaxTokenDays = 180

// Scopes that a personal access token may carry.
var Scopes = func() []string {
	var out []string
	for _, object := range []string{"safes", "resources", "accounts", "policies", "connectors", "members", "groups", "org", "webhooks", "sessions", "recordings", "audit", "requests"} {
		out = append(out, object+":read", object+":write")
	}
	return append(out, "sessions:launch", "sessions:terminate", "credentials:checkout", "credentials:rotate", "requests:approve")
}()

// ValidScope says whether s is one of Scopes.
func ValidScope(s string) bool { return slices.Contains(Scopes, s) }
