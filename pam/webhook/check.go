package webhook

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// check says what is not acceptable, and returns in as it is kept. address is
// the new one; "" where it stays.
func (s *Service) check(op string, in Settings, address string) (Settings, error) {
	var ps pam.Problems
	if in.Format != Standard && in.Format != Slack && in.Format != Teams {
		ps.Add("format", "must be standard, slack or teams")
	}
	if address != "" || in.URL == "" {
		if p := s.Post.URLProblem(address); p != "" {
			ps.Add("url", p)
			return in, ps.Err(op)
		}
		in.URL = shown(in.Format, address)
	}
	if in.Name == "" {
		in.Name = host(in.URL)
	}
	if p := naming.Problem(in.Name); p != "" {
		ps.Add("name", p)
	}
	in.Events = slices.Compact(slices.Sorted(slices.Values(in.Events)))
	switch {
	case len(in.Events) == 0:
		ps.Add("events", "must name at least one type of event")
	case len(in.Events) > MaxEvents:
		ps.Add("events", fmt.Sprintf("are more than %d", MaxEvents))
	default:
		for i, pattern := range in.Events {
			if !known(pattern) {
				ps.Add(fmt.Sprintf("events[%d]", i), "is no type of event, nor the beginning of some followed by *")
			}
		}
	}
	return in, ps.Err(op)
}

// known says whether a pattern chooses anything.
func known(pattern string) bool {
	return slices.ContainsFunc(audit.Catalogue, func(s audit.Spec) bool { return chooses(pattern, s.Type) })
}

func chooses(pattern string, t audit.Type) bool {
	beginning, all := strings.CutSuffix(pattern, "*")
	return pattern == string(t) || all && strings.HasPrefix(string(t), beginning)
}

// own are the events about deliveries: a webhook is not told of its own, lest
// each failure made the next.
var own = []audit.Type{audit.WebhookTested, audit.WebhookDeliveryFailed, audit.WebhookDisabled}

// wants says whether a webhook is told of an event.
func (w Webhook) wants(e audit.Entry) bool {
	if e.Target.ID == string(w.ID) && slices.Contains(own, e.Type) {
		return false
	}
	return slices.ContainsFunc(w.Events, func(pattern string) bool { return chooses(pattern, e.Type) })
}

// shown is an address without what in it may be secret.
func shown(f Format, address string) string {
	u, err := url.Parse(address)
	if err != nil || f == Standard {
		return address
	}
	return u.Scheme + "://" + u.Host + "/…"
}

// host is the part of an address that may be known to all who read the log.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
