package scim

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/provisioning"
)

// The names of schemas and messages (RFC 7643 section 8.7, RFC 7644).
const (
	schemaUser    = "urn:ietf:params:scim:schemas:core:2.0:User"
	schemaGroup   = "urn:ietf:params:scim:schemas:core:2.0:Group"
	schemaConfig  = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	schemaType    = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema  = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	schemaError   = "urn:ietf:params:scim:api:messages:2.0:Error"
	schemaList    = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	schemaSearch  = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	schemaPatchOp = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

func meta(kind, location string, created, modified time.Time, version string) resource {
	if modified.IsZero() {
		modified = created
	}
	return resource{
		"resourceType": kind, "location": location, "version": version,
		"created": created.UTC().Format(time.RFC3339Nano), "lastModified": modified.UTC().Format(time.RFC3339Nano),
	}
}

func userTag(u provisioning.User) string   { return `W/"` + u.Version() + `"` }
func groupTag(g provisioning.Group) string { return `W/"` + strconv.FormatInt(g.Version, 10) + `"` }

// userOf is a user as JSON. An e-mail address is what people are called by
// here, so emails always is the userName.
func (h *Handler) userOf(u provisioning.User, groups []provisioning.Membership) resource {
	name := resource{"formatted": u.Name}
	out := resource{
		"schemas": []any{schemaUser}, "id": string(u.ID), "userName": u.Email, "displayName": u.Name, "active": u.Active, "name": name,
		"emails": []any{resource{"value": u.Email, "type": "work", "primary": true}},
		"meta":   meta("User", h.location("Users", string(u.ID)), u.CreatedAt, u.UpdatedAt, userTag(u)),
	}
	if u.ExternalID != "" {
		out["externalId"] = u.ExternalID
	}
	if u.GivenName != "" {
		name["givenName"] = u.GivenName
	}
	if u.FamilyName != "" {
		name["familyName"] = u.FamilyName
	}
	var in []any
	for _, g := range groups {
		if g.User == u.ID {
			in = append(in, resource{"value": string(g.Group), "$ref": h.location("Groups", string(g.Group)), "display": g.Name, "type": "direct"})
		}
	}
	if len(in) > 0 {
		out["groups"] = in
	}
	return out
}

// groupOf is a group as JSON, with the members that g has at hand.
func (h *Handler) groupOf(g provisioning.Group) resource {
	out := resource{
		"schemas": []any{schemaGroup}, "id": string(g.ID), "displayName": g.Name,
		"meta": meta("Group", h.location("Groups", string(g.ID)), g.CreatedAt, g.UpdatedAt, groupTag(g)),
	}
	if g.ExternalID != "" {
		out["externalId"] = g.ExternalID
	}
	if len(g.Members) > 0 {
		out["members"] = h.membersOf(g.Members)
	}
	return out
}

func (h *Handler) membersOf(users []pam.UserID) []any {
	out := make([]any, len(users))
	for i, u := range users {
		out[i] = resource{"value": string(u), "$ref": h.location("Users", string(u)), "type": "User"}
	}
	return out
}

func (h *Handler) location(kind, id string) string { return h.URL() + root + "/" + kind + "/" + id }

// projection says which attributes of a resource are wanted (RFC 7644 section
// 3.9).
type projection struct{ only, without []attrPath }

// always are returned whatever is wanted (RFC 7643 section 7, "returned").
var always = []string{"schemas", "id"}

func parseProjection(attributes, excluded []string) (p projection, err error) {
	for _, list := range []struct {
		names []string
		into  *[]attrPath
	}{{attributes, &p.only}, {excluded, &p.without}} {
		if len(list.names) > 100 {
			return p, badValue("attributes", "are too many")
		}
		for _, name := range list.names {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			a, ok := attribute(name)
			if !ok {
				return p, badValue("attributes", "names no attribute")
			}
			*list.into = append(*list.into, a)
		}
	}
	return p, nil
}

// wants says whether any of an attribute is wanted.
func (p projection) wants(name string) bool {
	whole := func(a attrPath) bool { return a.name == name && a.sub == "" }
	if slices.ContainsFunc(p.without, whole) {
		return false
	}
	return len(p.only) == 0 || slices.ContainsFunc(p.only, func(a attrPath) bool { return a.name == name })
}

// apply leaves what is wanted of a resource.
func (p projection) apply(v resource) resource {
	if len(p.only)+len(p.without) == 0 {
		return v
	}
	out := resource{}
	for name, x := range v {
		lower := strings.ToLower(name)
		if slices.Contains(always, lower) {
			out[name] = x
			continue
		}
		if !p.wants(lower) {
			continue
		}
		var only, without []string
		for _, a := range p.only {
			if a.name == lower {
				if a.sub == "" {
					only = nil
					break
				}
				only = append(only, a.sub)
			}
		}
		for _, a := range p.without {
			if a.name == lower {
				without = append(without, a.sub)
			}
		}
		out[name] = part(x, only, without)
	}
	return out
}

// part is what of a complex value, or of each of many, is wanted.
func part(v any, only, without []string) any {
	if len(only)+len(without) == 0 {
		return v
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = part(x, only, without)
		}
		return out
	case resource:
		out := resource{}
		for name, x := range v {
			lower := strings.ToLower(name)
			if (len(only) == 0 || slices.Contains(only, lower)) && !slices.Contains(without, lower) {
				out[name] = x
			}
		}
		return out
	}
	return v
}
