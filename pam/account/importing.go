package account

import (
	"context"
	"errors"
	"strings"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// MaxImport is how many rows one import may have.
const MaxImport = 500

// Place says at which resource an account is: by Ref (an id or a slug), or by
// address. All empty: at none.
type Place struct {
	Ref  string
	Type pam.Protocol
	Host string
	Port int // 0: the type's own
}

func (p Place) empty() bool { return p == Place{} }

// Found is the resource at a place.
type Found struct {
	ID   pam.ResourceID // "": there is none yet
	Type pam.Protocol
	Key  string // the same for all that name the same place
}

// Resources finds resources and makes them. The server adapts the noun.
type Resources interface {
	// Match is Invalid when the place cannot be, or is that of several.
	Match(ctx context.Context, a pam.Actor, at Place) (Found, error)
	Create(ctx context.Context, a pam.Actor, at Place) (Found, error)
}

// ImportRow is one account that is to be there.
type ImportRow struct {
	Name       string // "": the username and the host
	Username   string
	Credential *NewCredential // nil: none
	At         Place
	Problems   pam.Problems // that were found before
}

// ImportOptions say what an import may do.
type ImportOptions struct {
	DryRun          bool
	CreateResources bool // that are missing
	Update          bool // give a new credential to accounts that have one
}

// Outcome is what became of a row, or would.
type Outcome string

// The outcomes. An account of the same name at the same resource is the same
// account: it is skipped if it has a credential, unless updates are wanted.
const (
	WillCreate Outcome = "create"
	WillUpdate Outcome = "update"
	WillSkip   Outcome = "skip"
	Refused    Outcome = "error"
)

// Imported is the outcome of one row.
type Imported struct {
	Row         int // from 1
	Outcome     Outcome
	Name        string // "" in a row that was refused: it may hold anything
	Account     pam.AccountID
	Resource    pam.ResourceID
	NewResource bool
	Problems    pam.Problems // never with a value
}

// Importer brings in many accounts at once.
type Importer struct {
	accounts  *Service
	resources Resources
}

// NewImporter makes an Importer.
func NewImporter(accounts *Service, r Resources) *Importer { return &Importer{accounts, r} }

// Import goes through the rows, each a change of its own, and wipes them. What
// was done stays done when a later row fails, and a second import of the same
// rows skips it. Only what ends the whole import is an error.
func (im *Importer) Import(ctx context.Context, a pam.Actor, rows []ImportRow, o ImportOptions) ([]Imported, error) {
	const op = "import accounts"
	defer func() {
		for _, r := range rows {
			if r.Credential != nil {
				r.Credential.Wipe()
			}
		}
	}()
	if !policy.Allowed(policy.AccountImport, policy.Of(a, "")) {
		return nil, &pam.Error{Kind: pam.Denied, Op: op}
	}
	if !o.DryRun && !a.Fresh(im.accounts.clock.Now()) {
		return nil, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	var ps pam.Problems
	switch {
	case len(rows) == 0:
		ps.Add("rows", "are missing")
	case len(rows) > MaxImport:
		ps.Add("rows", "are more than 500: import them in parts")
	}
	if err := ps.Err(op); err != nil {
		return nil, err
	}
	run := importRun{Importer: im, actor: a, options: o, seen: map[string]bool{}}
	out := make([]Imported, len(rows))
	for i := range rows {
		done, err := run.row(ctx, rows[i])
		if err = refusal(err, &done); err != nil {
			return nil, pam.Wrap(op, err)
		}
		done.Row = i + 1
		out[i] = done
	}
	return out, nil
}

// refusal puts what is about a row alone into its outcome; anything else ends
// the import.
func refusal(err error, done *Imported) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*pam.Error](err)
	if !ok {
		return err
	}
	problems := pam.Problems(e.Fields)
	switch e.Kind {
	case pam.Invalid:
	case pam.Denied, pam.Conflict, pam.Unavailable:
		problem := e.Public
		if problem == "" {
			problem = e.Kind.String()
		}
		problems = pam.Problems{{Field: "name", Problem: problem}}
	default:
		return err
	}
	*done = Imported{Outcome: Refused}
	for _, p := range problems {
		done.Problems.Add(strings.TrimPrefix(p.Field, "credential."), p.Problem)
	}
	return nil
}

// importRun is one import that is under way.
type importRun struct {
	*Importer
	actor   pam.Actor
	options ImportOptions
	seen    map[string]bool // accounts, by name and place
}

func (run *importRun) row(ctx context.Context, r ImportRow) (Imported, error) {
	const op = "import account"
	s := run.accounts
	if err := r.Problems.Err(op); err != nil {
		return Imported{}, err
	}
	if r.Name == "" {
		if r.Name = r.Username; r.Name == "" {
			return Imported{}, &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "username", Problem: "is required"}}}
		}
		if r.At.Host != "" {
			r.Name += "@" + strings.ToLower(r.At.Host)
		}
	}
	in := Settings{Name: strings.TrimSpace(r.Name), Username: r.Username}
	if err := in.check(op); err != nil {
		return Imported{}, err
	}
	if r.Credential != nil {
		plain, _, err := r.Credential.Read(op, s.clock.Now())
		plain.Wipe()
		if err != nil {
			return Imported{}, err
		}
	}
	var at Found
	if !r.At.empty() {
		var err error
		if at, err = run.resources.Match(ctx, run.actor, r.At); err != nil {
			return Imported{}, err
		}
	}
	if r.Credential != nil {
		if err := fit(op, "credential.kind", r.Credential.Kind, at.Type); err != nil {
			return Imported{}, err
		}
	}
	if key := in.Name + "\x00" + at.Key; run.seen[key] {
		return Imported{}, &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "name", Problem: "stands twice for the same resource"}}}
	} else {
		run.seen[key] = true
	}
	if at.Key != "" && at.ID == "" {
		return run.missing(ctx, r, in)
	}
	in.ResourceID = at.ID
	cur, err := s.store.AccountNamed(ctx, run.actor.Org, in.Name, at.ID)
	switch {
	case pam.Is(err, pam.NotFound):
		return run.create(ctx, r, in)
	case err != nil:
		return Imported{}, err
	}
	return run.update(ctx, r, cur)
}

// missing is a row whose resource is not there.
func (run *importRun) missing(ctx context.Context, r ImportRow, in Settings) (Imported, error) {
	switch {
	case r.At.Ref != "":
		return Imported{}, &pam.Error{Kind: pam.Invalid, Fields: []pam.Problem{{Field: "resource", Problem: "names no resource of this organization"}}}
	case !run.options.CreateResources:
		return Imported{}, &pam.Error{Kind: pam.Invalid, Fields: []pam.Problem{{Field: "host", Problem: "is that of no resource; they can be made with the import"}}}
	case run.options.DryRun:
		return Imported{Outcome: WillCreate, Name: in.Name, NewResource: true}, nil
	}
	made, err := run.resources.Create(ctx, run.actor, r.At)
	if err != nil {
		return Imported{}, err
	}
	in.ResourceID = made.ID
	done, err := run.create(ctx, r, in)
	done.NewResource = true
	return done, err
}

func (run *importRun) create(ctx context.Context, r ImportRow, in Settings) (Imported, error) {
	done := Imported{Outcome: WillCreate, Name: in.Name, Resource: in.ResourceID}
	if run.options.DryRun {
		return done, nil
	}
	acc, err := run.accounts.create(ctx, "import account", run.actor, in, r.Credential, map[string]any{"username": in.Username, "imported": true})
	done.Account = acc.ID
	return done, err
}

func (run *importRun) update(ctx context.Context, r ImportRow, cur Account) (Imported, error) {
	const op = "import account"
	done := Imported{Outcome: WillSkip, Name: cur.Name, Account: cur.ID, Resource: cur.ResourceID}
	if r.Credential == nil || cur.Credential != nil && !run.options.Update {
		return done, nil
	}
	if err := run.accounts.mayChoose(ctx, op, run.actor, cur, policy.CredentialSet); err != nil {
		return Imported{}, err
	}
	if done.Outcome = WillUpdate; run.options.DryRun {
		return done, nil
	}
	_, err := run.accounts.set(ctx, op, run.actor, cur, *r.Credential, audit.CredentialSet, map[string]any{"imported": true})
	return done, err
}
