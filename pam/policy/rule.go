package policy

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"vaultpam/pam"
)

// Effect is what a policy does where its conditions hold, and what a decision
// comes to.
type Effect string

// The effects, in the words of the API.
const (
	Allow           Effect = "allow"
	Deny            Effect = "deny"
	RequireApproval Effect = "require_approval"
)

// Effects lists them.
var Effects = []Effect{Allow, Deny, RequireApproval}

// Conditions say when a policy applies: where all that are given hold. Without
// any, it always does.
type Conditions struct {
	TimeWindow *Hours   `json:"time_window,omitempty"`
	SourceIPs  []string `json:"source_ips,omitempty"` // addresses and CIDR ranges
	// MFARequired is no question but a demand: where an allow or
	// require_approval policy applies, a second factor must have been shown.
	MFARequired   bool           `json:"mfa_required,omitempty"`
	ResourceTypes []pam.Protocol `json:"resource_types,omitempty"`
	// Whom it is about: any of these is enough. Roles are those in the
	// organization.
	UserIDs  []pam.UserID  `json:"user_ids,omitempty"`
	GroupIDs []pam.GroupID `json:"group_ids,omitempty"`
	Roles    []pam.Role    `json:"roles,omitempty"`
}

// JIT says what approval a require_approval policy wants.
type JIT struct {
	Approvers  int  `json:"approvers"`             // 1 or 2 different people
	MaxSeconds int  `json:"max_seconds,omitempty"` // the longest grant; 0: as the request says
	AutoExpire bool `json:"auto_expire"`           // sessions end with the grant
}

// Spec is a policy as far as a decision is concerned.
type Spec struct {
	ID         pam.PolicyID
	Name       string
	Action     Effect
	Conditions Conditions
	JIT        JIT // of require_approval
}

// Rule is a policy that was made ready to be asked. It does not change.
type Rule struct {
	ID     pam.PolicyID
	Name   string
	Effect Effect
	JIT    JIT
	Factor bool // a second factor is demanded

	week  *Week
	nets  []span // sorted and disjoint; nil: from anywhere
	types Types  // 0: any
	// about says that it is not about everybody.
	about  bool
	users  map[pam.UserID]struct{}
	groups map[pam.GroupID]struct{}
	roles  uint8
}

// span is a range of addresses, both ends included.
type span struct{ from, to netip.Addr }

// Types is a set of types of resources.
type Types uint16

// TypesOf makes a set. A type that nobody knows is one that no policy names.
func TypesOf(all ...pam.Protocol) Types {
	var out Types
	for _, p := range all {
		i := slices.Index(pam.Protocols, p)
		if i < 0 {
			i = 15
		}
		out |= 1 << i
	}
	return out
}

// Compile makes a policy ready. It refuses what cannot be read, so that
// nothing that is asked was only half understood.
func Compile(s Spec) (*Rule, error) {
	c := s.Conditions
	r := &Rule{ID: s.ID, Name: s.Name, Effect: s.Action, JIT: s.JIT, Factor: c.MFARequired, types: TypesOf(c.ResourceTypes...)}
	var err error
	if r.week, err = c.TimeWindow.Compile(); err != nil {
		return nil, err
	}
	if r.nets, err = spans(c.SourceIPs); err != nil {
		return nil, err
	}
	if !slices.Contains(Effects, s.Action) || s.Action == RequireApproval && s.JIT.Approvers < 1 {
		return nil, errors.New("policy without an action that is known")
	}
	r.about = len(c.UserIDs)+len(c.GroupIDs)+len(c.Roles) > 0
	r.users, r.groups = setOf(c.UserIDs), setOf(c.GroupIDs)
	for _, role := range c.Roles {
		r.roles |= roleBit(role)
	}
	return r, nil
}

func setOf[T comparable](all []T) map[T]struct{} {
	if len(all) == 0 {
		return nil
	}
	out := make(map[T]struct{}, len(all))
	for _, v := range all {
		out[v] = struct{}{}
	}
	return out
}

// roleBit is the place of a role in a set; an unknown role has none.
func roleBit(r pam.Role) uint8 {
	switch r {
	case pam.Owner:
		return 1
	case pam.Admin:
		return 2
	case pam.PolicyManager:
		return 4
	case pam.Operator:
		return 8
	case pam.Auditor:
		return 16
	}
	return 0
}

// ParseRange reads an address or a CIDR range. Bits beyond the length of a
// range are refused: whoever wrote them meant another one.
func ParseRange(s string) (netip.Prefix, error) {
	if len(s) > len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128") {
		return netip.Prefix{}, errors.New("too long for a range of addresses")
	}
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errors.New("not an address")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("not a range of addresses")
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, errors.New("bits beyond the length of the range")
	}
	return p, nil
}

// spans reads ranges and joins those that touch.
func spans(ranges []string) ([]span, error) {
	var all []span
	for _, s := range ranges {
		p, err := ParseRange(s)
		if err != nil {
			return nil, err
		}
		all = append(all, span{p.Addr(), last(p)})
	}
	slices.SortFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
	var out []span
	for _, s := range all {
		if n := len(out); n > 0 && out[n-1].from.BitLen() == s.from.BitLen() &&
			(s.from.Compare(out[n-1].to) <= 0 || out[n-1].to.Next() == s.from) {
			if s.to.Compare(out[n-1].to) > 0 {
				out[n-1].to = s.to
			}
			continue
		}
		out = append(out, s)
	}
	return out, nil
}

// last is the highest address of a range.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// within says whether one of the spans has a.
func within(spans []span, a netip.Addr) bool {
	low, high := 0, len(spans)
	for low < high {
		middle := (low + high) / 2
		if spans[middle].to.Compare(a) < 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low < len(spans) && spans[low].from.Compare(a) <= 0
}

// failure is the first condition of a rule that does not hold.
type failure uint8

const (
	holds failure = iota
	notInTime
	notFromThere
	notThatType
	notAboutThem
)

// applies says which condition does not hold, or that all do. What is not
// known counts against whoever asks: it does not open, and it does not save
// from a refusal.
func (r *Rule) applies(q *Question, from netip.Addr) failure {
	if !r.week.Contains(q.At) {
		return notInTime
	}
	opens := r.Effect == Allow
	if len(r.nets) > 0 {
		if !from.IsValid() {
			if opens {
				return notFromThere
			}
		} else if !within(r.nets, from) {
			return notFromThere
		}
	}
	if r.types != 0 {
		switch {
		case opens && (q.Types == 0 || q.Types&^r.types != 0):
			return notThatType
		case !opens && q.Types != 0 && q.Types&r.types == 0:
			return notThatType
		}
	}
	if r.about && !r.names(q) {
		return notAboutThem
	}
	return holds
}

// names says whether the rule is about whoever asks.
func (r *Rule) names(q *Question) bool {
	if r.roles&roleBit(q.Role) != 0 {
		return true
	}
	if _, ok := r.users[q.User]; ok {
		return true
	}
	if len(r.groups) > 0 {
		for _, g := range q.Groups {
			if _, ok := r.groups[g]; ok {
				return true
			}
		}
	}
	return false
}

// Set is the rules of one Safe in the order in which they are asked: what
// denies, what wants an approval, what allows.
type Set []*Rule

// Book is the rules of every Safe of an organization that has any.
type Book map[pam.SafeID]Set

// AskForTypes says whether any of the rules is about some types of resources.
func (s Set) AskForTypes() bool {
	return slices.ContainsFunc(s, func(r *Rule) bool { return r.types != 0 })
}

// NewSet brings rules into their order.
func NewSet(rules ...*Rule) Set {
	out := slices.Clone(rules)
	slices.SortFunc(out, func(a, b *Rule) int {
		return cmp.Or(cmp.Compare(a.order(), b.order()), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func (r *Rule) order() int {
	switch r.Effect {
	case Deny:
		return 0
	case RequireApproval:
		return 1
	}
	return 2
}
