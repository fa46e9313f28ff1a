// Package broker is the only door to targets and to secrets: it turns "who
// wants what" into a live session, or into a refusal that says why.
//
// It owns the order of a launch (resolve, decide, begin, record, dial, log in),
// the sessions that are live in this process, and every reason to cut one. It
// must not know what a protocol's bytes mean. Start at [Broker.Open]; a reveal
// is [Broker.CheckOut].
package broker

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
	"vaultpam/pam/org"
	"vaultpam/pam/policy"
	"vaultpam/pam/recording"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
	"vaultpam/pam/session"
)

// Deps is what a Broker works with.
type Deps struct {
	Store      Store
	Secrets    account.Secret
	Actors     Actors
	Policies   Policies
	Sealer     pam.Sealer
	Issuer     Issuer // of SSH certificates; nil: none are made
	Leases     Leases // nil: no users are made at targets
	Makers     map[pam.Protocol]Maker
	Sealed     func() bool // whether the vault is sealed now
	Recordings Recordings
	Audit      audit.Store
	Scribe     *audit.Scribe
	Dialer     Dialer
	Targets    map[pam.Protocol]Target
	IDs        *ids.Source
	Clock      clock.Clock
	Log        *slog.Logger
	// Alarm writes to everybody who is to hear of an emergency; nil: nobody.
	Alarm func(ctx context.Context, a pam.Actor, e Emergency) ([]pam.Outgoing, error)
	// Decided counts decisions on launches and reveals; nil counts none.
	Decided func(policy.Action, policy.Decision)
}

// ClientGone is the end of a session whose client was lost, not left.
const ClientGone = "client disconnected"

// Store is what the broker needs to have kept. *store.DB satisfies it.
type Store interface {
	session.Store
	// SafesOf lists Safes in which user has a role, in organizations of which
	// they are an active member; org and ref (an id or a slug) narrow it when
	// they are not empty.
	SafesOf(ctx context.Context, user pam.UserID, org pam.OrgID, ref string, now time.Time, limit int) ([]SafeRef, error)
	SafeByID(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (safe.Safe, error)
	ResourceByID(ctx context.Context, org pam.OrgID, id pam.ResourceID) (resource.Resource, error)
	PinHostKey(ctx context.Context, org pam.OrgID, id pam.ResourceID, line string, e audit.Entry) error
	AccountByID(ctx context.Context, org pam.OrgID, id pam.AccountID) (account.Account, error)
	Holders(ctx context.Context, org pam.OrgID, id pam.AccountID, user pam.UserID, now time.Time) ([]account.Holder, error)
	CredentialVersions(ctx context.Context, org pam.OrgID, id pam.AccountID) ([]account.Version, error)
	// GrantedSafes is SafesOf for Safes for which user holds a grant; their
	// Role is left empty.
	GrantedSafes(ctx context.Context, user pam.UserID, org pam.OrgID, ref string, now time.Time, limit int) ([]SafeRef, error)
	// Grants lists the grants that user holds for a Safe now.
	Grants(ctx context.Context, org pam.OrgID, user pam.UserID, safe pam.SafeID, now time.Time) ([]policy.Grant, error)
	// UsedAt lists the resources at which Safes bind the account.
	UsedAt(ctx context.Context, org pam.OrgID, id pam.AccountID) ([]pam.ResourceID, error)
	// Blocked says whether the account's credential is held back at the
	// resource by a redirection that nobody has confirmed yet.
	Blocked(ctx context.Context, org pam.OrgID, resource pam.ResourceID, account pam.AccountID, safe pam.SafeID) (bool, error)
	OrganizationByID(ctx context.Context, org pam.OrgID) (org.Organization, error)
	// LaunchSession stores a session that waits for its user to connect.
	LaunchSession(ctx context.Context, org pam.OrgID, s session.Session, letters []pam.Outgoing, events ...audit.Entry) error
	// EmergencyLaunch returns the oldest session by break-glass that waits for
	// this user; org, and what want names, narrow it when they are not empty.
	// "" when none does.
	EmergencyLaunch(ctx context.Context, user pam.UserID, org pam.OrgID, want Want, now time.Time) (pam.OrgID, pam.SessionID, error)
	// LaunchedSession returns the oldest session that waits for this user at
	// this binding, "" when none does.
	LaunchedSession(ctx context.Context, org pam.OrgID, s session.Session, now time.Time) (pam.SessionID, error)
	// BeginSession stores the session as pending, the recording's row unless
	// it is nil, and the events, in one transaction. With adopt, s.ID is a
	// launched session; it is a Conflict if it does not wait any more. A grant
	// for one command that s names is used up by it; it is a Conflict if it was
	// before.
	BeginSession(ctx context.Context, org pam.OrgID, s session.Session, adopt bool, r *recording.Recording, events ...audit.Entry) error
	// Standings reads, in one query, what the open sessions of a node rest on.
	Standings(ctx context.Context, node string, now time.Time) ([]Standing, error)
	// CreateCheckout is a Conflict if the secret is out and one of the two is
	// exclusive.
	CreateCheckout(ctx context.Context, org pam.OrgID, c checkout.Checkout, letters []pam.Outgoing, events ...audit.Entry) error
	// RecordKit stores the events of a kit of these accounts. It is a Conflict
	// if somebody has one of them exclusively.
	RecordKit(ctx context.Context, org pam.OrgID, accounts []pam.AccountID, events ...audit.Entry) error
	CheckoutByID(ctx context.Context, org pam.OrgID, id pam.CheckoutID) (checkout.Checkout, error)
	// ExtendCheckout is a Conflict unless c is out and as it was read.
	ExtendCheckout(ctx context.Context, org pam.OrgID, c checkout.Checkout, until time.Time, e audit.Entry) error
	// CheckoutStandings reads what checkouts that are out rest on, of all
	// organizations, in the order of organization and id, after these.
	CheckoutStandings(ctx context.Context, org pam.OrgID, id pam.CheckoutID, now time.Time, limit int) ([]CheckoutStanding, error)
	// CheckIn ends a checkout that is out; else it is a Conflict.
	CheckIn(ctx context.Context, org pam.OrgID, id pam.CheckoutID, by pam.UserID, why checkout.Cause, at time.Time, e audit.Entry) error
}

// SafeRef is one Safe that a name may mean.
type SafeRef struct {
	Org  pam.OrgID
	Safe pam.SafeID
	Slug string
	Role pam.SafeRole
	// OrgRole is the user's role in the organization.
	OrgRole pam.Role
}

// Standing is what a live session rests on, as it is now.
type Standing struct {
	Session    pam.SessionID
	KillReason string       // somebody asked for its end
	OrgRole    pam.Role     // "" : not an active member any more
	SafeRole   pam.SafeRole // "" : no role in the Safe any more, or no such Safe
	Groups     []pam.GroupID
	Grants     []policy.Grant // for the Safe
	Locked     bool
	Bound      bool  // the Safe still binds the account at the resource
	Version    int64 // of the Safe
}

// Actors makes the Actor for a user in one of their organizations.
type Actors interface {
	// ActorFor is an Error of kind OrgDenied if the user is not an active
	// member of org. Token, TokenID, From and RequestID of like are kept.
	ActorFor(ctx context.Context, like pam.Actor, org pam.OrgID) (pam.Actor, error)
}

// Policies knows the policies of organizations as they are now. *rulebook.Books
// satisfies it.
type Policies interface {
	Rules(ctx context.Context, org pam.OrgID) (policy.Book, error)
}

// Recordings starts recordings. *recording.Service satisfies it.
type Recordings interface {
	Start(ctx context.Context, o recording.StartOptions) (*recording.Writer, error)
	Check(ctx context.Context) error
}

// Recorder takes what passes. Its methods copy and return; they wait only
// when the recording cannot keep up, and after it was lost they return why.
// *recording.Writer satisfies it; a session without a recording has one that
// forgets.
type Recorder interface {
	Output(p []byte) error
	Input(p []byte) error
	Resize(cols, rows uint16) error
	Marker(kind, text string) error
	File(f recording.File) error
}

// Target is what the broker asks of a protocol beside a session. The server
// adapts the packages of the target room.
type Target interface {
	// Check logs in with the credential and out again.
	Check(ctx context.Context, conn net.Conn, r resource.Resource, username string, login Login) error
	// Peek returns the host key that the target shows, as an OpenSSH line,
	// without logging in.
	Peek(ctx context.Context, conn net.Conn, r resource.Resource) (line string, err error)
}

// Login opens the credential, once. It is called after the target has proved
// who it is; its event is durable before it returns. The caller wipes the
// value.
type Login func(ctx context.Context) (Credential, error)

// Credential is what logs in to a target: a password (or a token, where the
// protocol takes one), or a key, with the certificate for it if there is one.
type Credential struct {
	Password    secret.Value
	PrivateKey  secret.Value // PEM
	Certificate string       // for SSH, OpenSSH's line; for TLS, PEM
}

// Wipe overwrites it.
func (c Credential) Wipe() { c.Password.Wipe(); c.PrivateKey.Wipe() }

// Want is what somebody wants to reach. Safe, Account and Resource are ids or
// slugs; "" means the only one there is.
type Want struct {
	// Session is a launched session of the actor's, to be taken over; it says
	// what Safe, Account, Resource and Reason are. "": any that waits, or none.
	Session                 pam.SessionID
	Safe, Account, Resource string
	Protocol                pam.Protocol // "": the resource's own
	Reason                  string
	Command                 string // the only one that is to be run; "" for anything else
	Cols, Rows              uint16 // of the terminal; 0 without one
	Emergency               bool   // by break-glass: without an approval, for those who are named for it

	org pam.OrgID // of the launched session; "" without one
}

// Rules are the Safe's controls that the edge has to apply.
type Rules struct {
	NoFiles       bool // file_transfer: blocked
	NoClipboard   bool // clipboard: blocked
	NoteClipboard bool // clipboard: audited
	// Once says that the session is for Want.Command, to be run a single time.
	Once bool
}

// Broker is the door. It is safe for concurrent use.
type Broker struct {
	Deps
	node string
	wake chan struct{} // one slot: a change touched a live session
	// blind says since when the policies of an organization cannot be read. It
	// belongs to Run.
	blind  map[pam.OrgID]time.Time
	recall recall // of checkouts; belongs to RunRecall

	mu       sync.Mutex // guards what follows
	live     map[pam.SessionID]*Live
	draining bool
	undone   []func(context.Context) error // ends of sessions and checkouts that could not be stored yet
	trusted  time.Time                     // when standings were last read
}

// New makes a Broker. It does no I/O; Run must be running for sessions to be
// cut.
func New(d Deps) *Broker {
	return &Broker{Deps: d, node: d.IDs.New("node_"), wake: make(chan struct{}, 1), blind: map[pam.OrgID]time.Time{}, recall: recall{blind: map[pam.OrgID]time.Time{}}, live: map[pam.SessionID]*Live{}}
}

// Node names this process in the sessions that it serves.
func (b *Broker) Node() string { return b.node }

// discard is the recorder of a Safe that does not record.
type discard struct{}

func (discard) Output([]byte) error         { return nil }
func (discard) Input([]byte) error          { return nil }
func (discard) Resize(uint16, uint16) error { return nil }
func (discard) Marker(string, string) error { return nil }
func (discard) File(recording.File) error   { return nil }
