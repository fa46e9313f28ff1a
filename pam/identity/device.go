package identity

import (
	"context"
	"io"
	"strings"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// A program without a browser gets its login from a person who has one (the
// device authorization grant, RFC 8628): it shows a short code, the person
// types that into the console, sees who asks, and approves. The program holds
// a second, long code, which nobody types, and fetches the login with it.

// DeviceStatus is how far such a request has come.
type DeviceStatus string

// The states of a request. Only a pending one is decided, and only an approved
// one becomes a login, once.
const (
	DevicePending  DeviceStatus = "pending"
	DeviceApproved DeviceStatus = "approved"
	DeviceDenied   DeviceStatus = "denied"
	DeviceExpired  DeviceStatus = "expired" // or fetched, or never made: whoever asks cannot tell
)

// Device is a request for a login.
type Device struct {
	ID         pam.LoginID // that the login gets
	CodeHash   [32]byte
	UserCode   string // eight letters, as UserCode returns them
	Name       string // as the program calls itself; "" if it does not
	ClientIP   string
	UserAgent  string
	Wants      pam.UserID // of a connection that waits for its person: nobody else decides, and no login comes of it
	Status     DeviceStatus
	User       pam.UserID  // who approved
	ApprovedBy pam.LoginID // the login with which they did
	StepUpAt   time.Time   // of that login
	Vouched                // of that login
	CreatedAt  time.Time
	ExpiresAt  time.Time
}

const (
	// DeviceTTL is how long a request waits for its person, and then for its
	// program.
	DeviceTTL = 10 * time.Minute
	// DeviceInterval is how long a program waits between two questions.
	DeviceInterval = 5 * time.Second
	// MaxDevices bounds the requests that wait at a time: anybody may make one.
	MaxDevices = 10_000

	maxDeviceName = 64
)

// userCodeLetters make no words and are not taken for one another (RFC 8628
// section 6.1).
const userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"

// UserCode returns a code as it is kept: eight letters, however they were
// typed; false for what cannot be one.
func UserCode(typed string) (string, bool) {
	if len(typed) > 64 {
		return "", false
	}
	code := strings.NewReplacer("-", "", " ", "").Replace(strings.ToUpper(typed))
	return code, len(code) == 8 && strings.Trim(code, userCodeLetters) == ""
}

// ShownCode is a user code as people read it.
func (d Device) ShownCode() string { return d.UserCode[:4] + "-" + d.UserCode[4:] }

func newUserCode(random io.Reader) (string, error) {
	code := make([]byte, 0, 8)
	var one [1]byte
	for len(code) < cap(code) {
		if _, err := io.ReadFull(random, one[:]); err != nil {
			return "", err
		}
		if n := int(one[0]); n < 256-256%len(userCodeLetters) { // every letter as likely
			code = append(code, userCodeLetters[n%len(userCodeLetters)])
		}
	}
	return string(code), nil
}

// StartDevice makes a request for a login. The code goes to the program alone.
// Nobody is known yet, so nothing is audited before somebody decides.
func (s *Service) StartDevice(ctx context.Context, name string, c Client) (Device, secret.Value, error) {
	const op = "start device login"
	if len(name) > 4*maxDeviceName || naming.TextProblem(name, false) != "" || len([]rune(name)) > maxDeviceName {
		return Device{}, secret.Value{}, badField(op, "client_name", "must be at most 64 characters, on one line")
	}
	d, code, err := s.newDevice(ctx, name, "", c)
	return d, code, pam.Wrap(op, err)
}

func (s *Service) newDevice(ctx context.Context, name string, wants pam.UserID, c Client) (Device, secret.Value, error) {
	code, hash, err := newToken(devicePrefix, s.rand)
	if err != nil {
		return Device{}, secret.Value{}, err
	}
	userCode, err := newUserCode(s.rand)
	if err != nil {
		return Device{}, secret.Value{}, err
	}
	now := s.clock.Now()
	d := Device{
		ID: pam.LoginID(s.ids.New(pam.PrefixLogin)), CodeHash: hash, UserCode: userCode, Name: name, ClientIP: addrText(c), UserAgent: cut(c.UserAgent, 256), Wants: wants,
		Status: DevicePending, CreatedAt: now, ExpiresAt: now.Add(DeviceTTL),
	}
	return d, code, s.store.CreateDevice(ctx, d, MaxDevices)
}

// Device returns a request that waits for a decision, for whoever knows its
// user code.
func (s *Service) Device(ctx context.Context, a pam.Actor, typed string) (Device, error) {
	const op = "read device login"
	if err := selfOnly(a, op); err != nil {
		return Device{}, err
	}
	code, ok := UserCode(typed)
	if !ok {
		return Device{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	d, err := s.store.DeviceByUserCode(ctx, code, s.clock.Now())
	if err == nil && d.Wants != "" && d.Wants != a.User {
		return Device{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return d, pam.Wrap(op, err)
}

// DecideDevice approves or denies a request. Approving hands out a login, so it
// needs a fresh authentication.
func (s *Service) DecideDevice(ctx context.Context, a pam.Actor, typed string, approve bool) (Device, error) {
	const op = "decide on device login"
	if approve {
		if err := s.risky(a, op); err != nil {
			return Device{}, err
		}
	}
	d, err := s.Device(ctx, a, typed)
	if err != nil {
		return Device{}, err
	}
	// Whoever vouches for somebody in one organization confirms nothing that
	// counts in all.
	if approve && d.Wants != "" {
		if err := everywhere(a, op); err != nil {
			return Device{}, err
		}
	}
	if approve && d.Wants != "" && !a.SecondFactor {
		return Device{}, pam.Errorf(pam.StepUpNeeded, op, "This connection asks for a second factor: authenticate again with one.")
	}
	d.Status, d.User = DeviceDenied, a.User
	t := audit.DeviceLoginDenied
	if approve {
		d.Status, d.ApprovedBy, d.StepUpAt = DeviceApproved, pam.LoginID(a.TokenID), a.StepUpAt
		t = audit.DeviceLoginApproved
	}
	e := s.event(a, t, selfParty(a), map[string]any{"login_id": string(d.ID), "client_name": d.Name, "client_ip": d.ClientIP, "user_agent": d.UserAgent})
	return d, pam.Wrap(op, s.store.DecideDevice(ctx, d, s.clock.Now(), e))
}

// FetchDevice tells a program how far its request has come. Once it is
// approved the login is made, and given out this once; a login is as fresh as
// the one with which it was approved.
func (s *Service) FetchDevice(ctx context.Context, code string, c Client) (DeviceStatus, LoginResult, error) {
	const op = "fetch device login"
	hash, ok := parseToken(code, devicePrefix)
	if !ok {
		return DeviceExpired, LoginResult{}, nil
	}
	now := s.clock.Now()
	d, err := s.store.DeviceByCode(ctx, hash, now)
	switch {
	case pam.Is(err, pam.NotFound):
		return DeviceExpired, LoginResult{}, nil
	case err != nil:
		return "", LoginResult{}, pam.Wrap(op, err)
	case d.Wants != "":
		return DeviceExpired, LoginResult{}, nil
	case d.Status != DeviceApproved:
		return d.Status, LoginResult{}, nil
	}
	user, err := s.store.UserByID(ctx, d.User)
	if err != nil {
		return "", LoginResult{}, pam.Wrap(op, err)
	}
	places, err := s.store.PlacesOf(ctx, d.User)
	if err != nil {
		return "", LoginResult{}, pam.Wrap(op, err)
	}
	if !admitted(user, places) || user.MustChange {
		return DeviceDenied, LoginResult{}, nil
	}
	token, tokenHash, err := newToken(loginPrefix, s.rand)
	if err != nil {
		return "", LoginResult{}, pam.Wrap(op, err)
	}
	l := Login{
		ID: d.ID, User: d.User, TokenHash: tokenHash, CreatedAt: now, ExpiresAt: now.Add(s.ttl), StepUpAt: d.StepUpAt,
		ClientIP: addrText(c), UserAgent: cut(c.UserAgent, 256),
	}
	l.Vouched = d.Vouched
	e := s.entryOf(user, c, audit.LoginSucceeded, map[string]any{"method": "device", "login_id": string(l.ID), "approved_by": string(d.ApprovedBy)})
	if l.Only != "" {
		e = audit.ForOrg(e, l.Only)
	}
	if err := s.store.RedeemDevice(ctx, d, l, now, e); err != nil {
		if pam.Is(err, pam.Conflict) { // somebody was quicker, or it was taken back
			return DeviceExpired, LoginResult{}, nil
		}
		return "", LoginResult{}, pam.Wrap(op, err)
	}
	return DeviceApproved, LoginResult{Token: token, ExpiresIn: s.ttl, Login: l}, nil
}
