package broker

import (
	"context"
	"crypto/rand"
	"net"
	"slices"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
	"vaultpam/pam/lease"
	"vaultpam/pam/resource"
)

// The broker is the door of leases, too.

var _ lease.Door = (*Broker)(nil)

// NewUser is a user that a target is to have for a while.
type NewUser struct {
	Name      string
	Password  secret.Value // empty when it is dropped
	ExpiresAt time.Time
	Spec      account.Ephemeral
}

// Maker makes and drops users at targets of one protocol. As's Login is called
// once, after the target has proved who it is.
type Maker interface {
	Create(ctx context.Context, conn net.Conn, r resource.Resource, as As, u NewUser) error
	Drop(ctx context.Context, conn net.Conn, r resource.Resource, as As, u NewUser) error
	// Names lists users whose names begin with prefix.
	Names(ctx context.Context, conn net.Conn, r resource.Resource, as As, prefix string) ([]string, error)
}

// Leases makes users. *lease.Service satisfies it.
type Leases interface {
	Begin(ctx context.Context, a pam.Actor, l lease.Lease, password secret.Value) (lease.Lease, error)
}

// checkOutMade makes the user that a checkout is about, and returns its one-time
// password. The checkout is durable already.
func (b *Broker) checkOutMade(ctx context.Context, p place, c checkout.Checkout) (lease.Lease, secret.Value, error) {
	const op = "make user"
	e := p.account.Credential.Ephemeral
	var at pam.ResourceID
	for _, bind := range p.safe.Bindings {
		if bind.AccountID == p.account.ID {
			if at != "" && at != bind.ResourceID {
				return lease.Lease{}, secret.Value{}, pam.Errorf(pam.Conflict, op, "The safe binds the account at several resources.")
			}
			at = bind.ResourceID
		}
	}
	r, err := b.Store.ResourceByID(ctx, c.Org, at)
	if err != nil {
		return lease.Lease{}, secret.Value{}, err
	}
	l := lease.Lease{
		Org: c.Org, Account: p.account.ID, Name: p.account.Name, Resource: at, Place: r.Place(), Admin: e.AdminAccountID, Safe: c.Safe, User: c.User, Checkout: c.ID, Spec: *e, ExpiresAt: c.ExpiresAt,
	}
	if ttl := time.Duration(e.TTLSeconds) * time.Second; ttl > 0 && c.CreatedAt.Add(ttl).Before(l.ExpiresAt) {
		l.ExpiresAt = c.CreatedAt.Add(ttl)
	}
	password := secret.FromString(rand.Text() + rand.Text()) // 260 bits, printable
	l, err = b.Leases.Begin(ctx, p.actor, l, password)
	if err != nil {
		password.Wipe()
		return l, secret.Value{}, err
	}
	return l, password, nil
}

// leasable refuses a checkout for which no user could be made.
func (b *Broker) leasable(ctx context.Context, p place) error {
	const op = "make user"
	types, err := b.typesAt(ctx, p)
	if err != nil {
		return err
	}
	for _, t := range types {
		if b.Leases == nil || b.Makers[t] == nil {
			return pam.Errorf(pam.Conflict, op, "Of this account no secret is kept: it is made at each launch.")
		}
	}
	if c := p.account.Credential; c == nil || c.Ephemeral == nil || c.Ephemeral.AdminAccountID == "" {
		return pam.Errorf(pam.Conflict, op, "The account does not say which other one makes its users: set admin_account_id.")
	}
	return nil
}

func (b *Broker) typesAt(ctx context.Context, p place) ([]pam.Protocol, error) {
	var out []pam.Protocol
	for _, bind := range p.safe.Bindings {
		if bind.AccountID != p.account.ID {
			continue
		}
		r, err := b.Store.ResourceByID(ctx, p.actor.Org, bind.ResourceID)
		if err != nil {
			return nil, err
		}
		out = append(out, r.Type)
	}
	return out, nil
}

// CreateUser implements lease.Door.
func (b *Broker) CreateUser(ctx context.Context, l lease.Lease, password secret.Value) (sent bool, err error) {
	err = b.atMaker(ctx, system(l.Org), l, "create", func(ctx context.Context, m Maker, conn net.Conn, r resource.Resource, as As) error {
		if elsewhere(l, r) {
			return lease.ErrMoved
		}
		sent = true
		return m.Create(ctx, conn, r, as, NewUser{Name: l.Username, Password: password, ExpiresAt: l.ExpiresAt, Spec: l.Spec})
	})
	return sent, pam.Wrap("create user at target", err)
}

// DropUser implements lease.Door. That the target said yes is not believed: it
// is asked which users it has, before, so that a user who is gone is no failure,
// and after. Where the resource led when the user was made nobody can be asked
// once it leads elsewhere: that the user is not here, then, says nothing, unless
// it was here before.
func (b *Broker) DropUser(ctx context.Context, l lease.Lease) error {
	const op = "drop user at target"
	there, moved, err := b.has(ctx, l)
	switch {
	case err != nil:
		return pam.Wrap(op, err)
	case !there && moved:
		return lease.ErrMoved
	case !there:
		return nil
	}
	dropped := b.atMaker(ctx, system(l.Org), l, "drop", func(ctx context.Context, m Maker, conn net.Conn, r resource.Resource, as As) error {
		return m.Drop(ctx, conn, r, as, NewUser{Name: l.Username, ExpiresAt: l.ExpiresAt, Spec: l.Spec})
	})
	if there, _, err = b.has(ctx, l); err != nil {
		return pam.Wrap(op, err)
	}
	if !there && dropped != nil {
		b.Log.Warn("a user is gone, but not all was done that goes with it", "lease", l.ID, "error", dropped)
	}
	if there {
		if dropped == nil {
			dropped = pam.Errorf(pam.TargetRefused, op, "The target still has the user after the statements that should drop it.")
		}
		return pam.Wrap(op, dropped)
	}
	return nil
}

// Users implements lease.Door.
func (b *Broker) Users(ctx context.Context, a pam.Actor, l lease.Lease) (names []string, place string, err error) {
	err = b.atMaker(ctx, a, l, "sweep", func(ctx context.Context, m Maker, conn net.Conn, r resource.Resource, as As) error {
		names, err = m.Names(ctx, conn, r, as, lease.UserPrefix)
		place = r.Place()
		return err
	})
	return names, place, pam.Wrap("list users at target", err)
}

// has asks whether the user is there, and says whether that is another place
// than the one where it was made.
func (b *Broker) has(ctx context.Context, l lease.Lease) (there, moved bool, err error) {
	err = b.atMaker(ctx, system(l.Org), l, "list", func(ctx context.Context, m Maker, conn net.Conn, r resource.Resource, as As) error {
		names, err := m.Names(ctx, conn, r, as, l.Username)
		there, moved = slices.Contains(names, l.Username), elsewhere(l, r)
		return err
	})
	return there, moved, err
}

func elsewhere(l lease.Lease, r resource.Resource) bool { return l.Place != "" && l.Place != r.Place() }

// atMaker logs in at the lease's resource as its administrator's account, whose
// credential is opened like any other: after its event, after the target has
// proved who it is, and not while a redirection holds it back.
func (b *Broker) atMaker(ctx context.Context, a pam.Actor, l lease.Lease, step string, do func(context.Context, Maker, net.Conn, resource.Resource, As) error) error {
	r, err := b.Store.ResourceByID(ctx, l.Org, l.Resource)
	if err != nil {
		return err
	}
	maker := b.Makers[r.Type]
	if maker == nil {
		return pam.Errorf(pam.Conflict, "", "Users cannot be made at resources of the type %s.", r.Type)
	}
	admin, err := b.helper(ctx, l.Org, l.Admin, r)
	if err != nil {
		return err
	}
	if err := b.released(ctx, l.Org, r.ID, admin.ID, ""); err != nil {
		return err
	}
	conn, err := b.Dialer.Dial(ctx, l.Org, r.Host, r.Port)
	if err != nil {
		return err
	}
	defer conn.Close()
	used := false
	return do(ctx, maker, conn, r, As{Username: admin.Username, Login: func(ctx context.Context) (Credential, error) {
		if used {
			return Credential{}, pam.Errorf(pam.Denied, "open credential", "The credential was used already.")
		}
		used = true
		return b.inject(ctx, a, l.Org, admin.ID, r.Type, issueFor{}, audit.Party{Type: "account", ID: string(admin.ID), Name: admin.Name},
			map[string]any{"for": "lease", "step": step, "lease_id": string(l.ID), "account_id": string(l.Account), "resource_id": string(r.ID)})
	}})
}
