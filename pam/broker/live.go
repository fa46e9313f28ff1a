package broker

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
	"vaultpam/pam/recording"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
	"vaultpam/pam/session"
)

// closeWithin bounds how long the end of a session may take to be stored.
const closeWithin = 20 * time.Second

// Live is one open session. The exported fields do not change.
type Live struct {
	Session  session.Session
	Username string   // at the target
	HostKeys []string // that the resource pins, as OpenSSH lines
	// AcceptFirst says that without a pinned key the first is to be given to
	// Pin; otherwise it is refused.
	AcceptFirst bool
	Rules       Rules
	Target      net.Conn // Close closes it
	Rec         Recorder // never nil

	In, Out atomic.Int64 // bytes from and to the client; the edge counts

	broker *Broker
	actor  pam.Actor
	safe   safe.Safe
	// question is what access rests on, as it was last read. After newLive it
	// belongs to Run.
	question policy.Question
	target   audit.Party // the resource
	record   *recording.Recording
	writer   atomic.Pointer[recording.Writer] // nil without a recording, or before it was started
	ctx      context.Context
	cancel   context.CancelCauseFunc
	warn     chan string
	idle     time.Duration

	touched atomic.Int64 // µs of the last byte from the client
	warned  bool         // of the present cause; only the sweep touches it

	logins atomic.Bool // Login was called
	mu     sync.Mutex  // guards given
	given  Credential

	once   sync.Once
	closed error
}

func (b *Broker) newLive(s session.Session, p place, idle time.Duration) *Live {
	l := &Live{
		Session: s, Username: p.account.Username, HostKeys: p.resource.HostKeys, AcceptFirst: p.resource.HostKeyPolicy == resource.AcceptFirst,
		Rules:  Rules{NoFiles: p.safe.FileTransfer == safe.Blocked, NoClipboard: p.safe.Clipboard == safe.Blocked, NoteClipboard: p.safe.Clipboard == safe.Audited},
		Rec:    discard{},
		broker: b, actor: p.actor, safe: p.safe, target: audit.Party{Type: "resource", ID: string(p.resource.ID), Name: p.resource.Name},
		idle: idle, warn: make(chan string, 1), question: p.question,
	}
	if g := p.grant(); g != nil {
		l.Rules.Once = g.Command != ""
	}
	l.question.Live = true
	l.question.Safe.Expires = time.Time{} // asked at the door alone
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	l.Touch()
	return l
}

// Context ends when the session must: terminated, expired, idle, revoked, not
// recordable, or the server stops. Its cause is a *Cut. The end of the request
// that opened the session is not the session's end.
func (l *Live) Context() context.Context { return l.ctx }

// Err says why Context has ended, nil while it has not.
func (l *Live) Err() error { return context.Cause(l.ctx) }

// Touch notes that a byte came from the client.
func (l *Live) Touch() { l.touched.Store(l.broker.Clock.Now().UnixMicro()) }

// Idle is how long the client may be silent; 0: as long as it likes.
func (l *Live) Idle() time.Duration { return l.idle }

// Warnings gives a sentence before a cut for time.
func (l *Live) Warnings() <-chan string { return l.warn }

// cut ends Context; the first cause stays.
func (l *Live) cut(c *Cut) { l.cancel(c) }

// kept is a recording whose loss cuts its session at once, so that whoever
// meets it first tells the user and the log the same.
type kept struct {
	l *Live
	w *recording.Writer
}

func (k kept) Output(p []byte) error          { return k.l.lost(k.w.Output(p)) }
func (k kept) Input(p []byte) error           { return k.l.lost(k.w.Input(p)) }
func (k kept) Resize(cols, rows uint16) error { return k.l.lost(k.w.Resize(cols, rows)) }
func (k kept) File(f recording.File) error    { return k.l.lost(k.w.File(f)) }
func (k kept) Marker(kind, text string) error { return k.l.lost(k.w.Marker(kind, text)) }

// lost cuts the session if its recording has failed, and returns why the
// session is over.
func (l *Live) lost(err error) error {
	if err == nil {
		return nil
	}
	l.cut(&Cut{Reason: "recording lost", Sentence: "This session was ended: it cannot be recorded any more.", Failed: true})
	return l.Err()
}

// Login opens the credential, the first time that it is called. The event
// CREDENTIAL_INJECTED is durable before the vault is asked. Call it only after
// the target has proved who it is.
func (l *Live) Login(ctx context.Context) (Credential, error) {
	const op = "open credential"
	if l.logins.Swap(true) {
		return Credential{}, pam.Errorf(pam.Denied, op, "The credential was used already.")
	}
	if err := l.Err(); err != nil {
		return Credential{}, &pam.Error{Kind: pam.Denied, Op: op, Public: err.Error()}
	}
	b, s := l.broker, l.Session
	if err := b.released(ctx, s.Org, s.ResourceID, s.AccountID, s.SafeID); err != nil {
		return Credential{}, pam.Wrap(op, err)
	}
	cred, err := b.inject(ctx, l.actor, s.Org, s.AccountID, s.Protocol, issueFor{session: s.ID, safe: l.safe}, session.Target(s), map[string]any{
		"safe_id": string(s.SafeID), "safe": l.safe.Name, "resource_id": string(s.ResourceID), "account_id": string(s.AccountID),
	})
	if err != nil {
		return Credential{}, pam.Wrap(op, err)
	}
	l.mu.Lock()
	l.given = cred
	l.mu.Unlock()
	return cred, nil
}

// released refuses a credential that is held back at the resource: whoever
// decided earlier may not have seen a redirection of just now.
func (b *Broker) released(ctx context.Context, org pam.OrgID, resource pam.ResourceID, account pam.AccountID, safe pam.SafeID) error {
	held, err := b.Store.Blocked(ctx, org, resource, account, safe)
	if err == nil && held {
		err = redirected()
	}
	return err
}

// inject opens the credential of an account that is known to log in, after its
// event. What could not log in by the protocol stays closed.
func (b *Broker) inject(ctx context.Context, actor pam.Actor, org pam.OrgID, id pam.AccountID, at pam.Protocol, use issueFor, target audit.Party, m map[string]any) (Credential, error) {
	sealed, err := b.Secrets.SealedCredential(ctx, org, id)
	if err != nil {
		if pam.Is(err, pam.NotFound) {
			return Credential{}, pam.Errorf(pam.Conflict, "read credential", "The account has no credential yet.")
		}
		return Credential{}, err
	}
	if sealed.Kind == account.Made && at == pam.SSH && b.Issuer != nil {
		m["version"] = sealed.Version
		return b.issue(ctx, actor, org, id, use, target, m)
	}
	if err := injectable(sealed.Kind, at); err != nil {
		return Credential{}, err
	}
	m["version"] = sealed.Version
	if err := b.Audit.Append(ctx, org, b.Scribe.Entry(actor, audit.CredentialInjected, target, m)); err != nil {
		return Credential{}, err
	}
	v, err := b.Sealer.Open(ctx, pam.Binding{Org: org, Purpose: account.Purpose, Object: string(id), Version: sealed.Version}, sealed.Sealed)
	if err != nil {
		e := b.Scribe.Entry(actor, audit.CredentialOpenFailed, target, notOpened(err, "account_id", string(id), sealed.Version))
		return Credential{}, errors.Join(err, b.Audit.Append(context.WithoutCancel(ctx), org, e))
	}
	return credentialOf(sealed.Kind, v), nil
}

// credentialOf puts an opened value where its kind belongs.
func credentialOf(kind account.Kind, v secret.Value) Credential {
	switch kind {
	case account.SSHKey:
		return Credential{PrivateKey: v}
	case account.SSHCertificate, account.TLSClient:
		key, certificate := kind.Parts(v)
		return Credential{PrivateKey: key, Certificate: certificate}
	}
	return Credential{Password: v}
}

// injectable refuses a kind that cannot log in by a protocol.
func injectable(k account.Kind, at pam.Protocol) error {
	switch {
	case k == account.Made:
		return pam.Errorf(pam.Unavailable, "open credential", "This server cannot make ephemeral credentials for %s yet.", at)
	case !account.Fits(k, at):
		return pam.Errorf(pam.Conflict, "open credential", "The account has a credential of the kind %s, which cannot log in by %s.", k, at)
	}
	return nil
}

// Pin keeps the host key that the target showed at the first contact, if the
// resource accepts its first; it is durable and audited on return.
func (l *Live) Pin(ctx context.Context, line string) error {
	e := l.broker.Scribe.Entry(l.actor, audit.ResourceHostKeyPinned, l.target,
		map[string]any{"host_key": line, "session_id": string(l.Session.ID)})
	return l.broker.Store.PinHostKey(ctx, l.Session.Org, l.Session.ResourceID, line, e)
}

// Mismatch notes that the target showed a host key that is not pinned.
func (l *Live) Mismatch(ctx context.Context) {
	e := l.broker.Scribe.Entry(l.actor, audit.ResourceHostKeyMismatch, l.target, map[string]any{"session_id": string(l.Session.ID)})
	if err := l.broker.Audit.Append(ctx, l.Session.Org, e); err != nil {
		l.broker.Log.Error("a host key mismatch could not be audited", "error", err, "resource", l.Session.ResourceID)
	}
}

// Activate notes that the target has accepted the credential, and wipes it.
func (l *Live) Activate(ctx context.Context) error {
	l.wipe()
	return pam.Wrap("activate session", l.broker.Store.ActivateSession(ctx, l.Session.Org, l.Session.ID))
}

func (l *Live) wipe() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given.Wipe()
	l.given = Credential{}
}

// Close ends the session: its end, the counts and the recording's root are on
// record when it returns nil. If the session was cut, the cut's reason counts.
// Only the first call of Close and Fail acts; the others return its outcome.
func (l *Live) Close(reason string) error {
	return l.end(session.Ended, reason)
}

// Fail ends a session that did not come about, for the reason that err gives.
func (l *Live) Fail(err error) error {
	return l.end(session.Failed, sentence(err))
}

func (l *Live) end(status session.Status, reason string) error {
	l.once.Do(func() {
		if cut, ok := errors.AsType[*Cut](l.Err()); ok {
			reason = cut.Reason
			if status = session.Ended; cut.Failed {
				status = session.Failed
			}
		}
		l.cancel(&Cut{Reason: reason, Sentence: "This session is over."})
		l.wipe()
		if l.Target != nil {
			_ = l.Target.Close()
		}
		l.closed = l.broker.finish(l, status, reason)
	})
	return l.closed
}

// finish seals the recording and stores the end. What cannot be stored now is
// tried again until it is.
func (b *Broker) finish(l *Live, status session.Status, reason string) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	var root string
	if w := l.writer.Load(); w != nil {
		seal, err := w.Close(ctx)
		if root = seal.Root; err != nil {
			b.Log.Error("recording was not sealed", "session", l.Session.ID, "recording", l.Session.RecordingID, "error", err)
		}
	}
	end := session.End{Status: status, Reason: reason, BytesIn: l.In.Load(), BytesOut: l.Out.Load(), At: b.Clock.Now()}
	e := session.EndedEvent(b.Scribe, l.actor, l.Session, l.safe.Name, end, root)
	store := func(ctx context.Context) error {
		err := b.Store.EndSession(ctx, l.Session.Org, l.Session.ID, end, e)
		if pam.Is(err, pam.Conflict) {
			return nil // over already: another node took us for dead
		}
		return err
	}
	err := store(ctx)
	b.mu.Lock()
	delete(b.live, l.Session.ID)
	if err != nil {
		b.undone = append(b.undone, store)
	}
	b.mu.Unlock()
	if err != nil {
		b.Log.Error("the end of a session could not be stored, trying again", "session", l.Session.ID, "error", err)
		return pam.Wrap("close session", err)
	}
	b.Log.Info("session ended", "session", l.Session.ID, "status", status, "reason", reason, "bytes_in", end.BytesIn, "bytes_out", end.BytesOut)
	return nil
}

// sentence is what an error says to people.
func sentence(err error) string {
	if e, ok := errors.AsType[*pam.Error](err); ok && e.Public != "" {
		return e.Public
	}
	return pam.KindOf(err).String()
}
