package scim

import (
	"context"
	"net/http"
	"strings"

	"vaultpam/pam"
)

// What a directory may learn of this server (RFC 7643 sections 5 to 7).

// noFilter refuses to filter what is not filtered (RFC 7644 section 4).
func (q *request) noFilter() error {
	if q.query.Has("filter") {
		return pam.Errorf(pam.Denied, "discover", "This list cannot be filtered.")
	}
	return nil
}

func (h *Handler) config(_ context.Context, q *request) (answer, error) {
	can := func(yes bool) resource { return resource{"supported": yes} }
	return answer{status: http.StatusOK, body: resource{
		"schemas": []any{schemaConfig}, "patch": can(true), "changePassword": can(false), "sort": can(false), "etag": can(true),
		"bulk":   resource{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter": resource{"supported": true, "maxResults": maxCount},
		"authenticationSchemes": []any{resource{
			"type": "oauthbearertoken", "name": "Bearer token", "description": "A token that an administrator of the organization has made", "primary": true,
		}},
		"meta": resource{"resourceType": "ServiceProviderConfig", "location": h.URL() + root + "/ServiceProviderConfig"},
	}}, q.noFilter()
}

func (h *Handler) types() []resource {
	var out []resource
	for _, t := range []struct{ name, endpoint, schema, about string }{
		{"User", "/Users", schemaUser, "A member of the organization"},
		{"Group", "/Groups", schemaGroup, "A group that directories fill"},
	} {
		out = append(out, resource{
			"schemas": []any{schemaType}, "id": t.name, "name": t.name, "endpoint": t.endpoint, "description": t.about, "schema": t.schema, "schemaExtensions": []any{},
			"meta": resource{"resourceType": "ResourceType", "location": h.location("ResourceTypes", t.name)},
		})
	}
	return out
}

// discovered answers with a list, or with the one of an id.
func discovered(q *request, all []resource) (answer, error) {
	if err := q.noFilter(); err != nil {
		return answer{}, err
	}
	id := q.PathValue("id")
	if id == "" {
		return search{start: 1}.answer(len(all), all), nil
	}
	for _, r := range all {
		if text, _ := r["id"].(string); strings.EqualFold(text, id) {
			return answer{status: http.StatusOK, body: r}, nil
		}
	}
	return answer{}, &pam.Error{Kind: pam.NotFound, Op: "discover"}
}

func (h *Handler) resourceTypes(_ context.Context, q *request) (answer, error) {
	return discovered(q, h.types())
}

func (h *Handler) resourceType(_ context.Context, q *request) (answer, error) {
	return discovered(q, h.types())
}

func (h *Handler) schemas(_ context.Context, q *request) (answer, error) {
	return discovered(q, h.allSchemas())
}

func (h *Handler) schema(_ context.Context, q *request) (answer, error) {
	return discovered(q, h.allSchemas())
}

// field describes an attribute (RFC 7643 section 7): a text that can be
// changed, unless more says otherwise.
func field(name, about string, more resource) resource {
	out := resource{
		"name": name, "type": "string", "multiValued": false, "description": about, "required": false, "caseExact": false,
		"mutability": "readWrite", "returned": "default", "uniqueness": "none",
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func (h *Handler) allSchemas() []resource {
	readOnly := resource{"mutability": "readOnly"}
	ref := func(kind string) resource {
		return field("$ref", "Where the other is", resource{"type": "reference", "referenceTypes": []any{kind}, "caseExact": true, "mutability": "readOnly"})
	}
	exactly := resource{"caseExact": true}
	out := []resource{
		{"id": schemaUser, "name": "User", "description": "A member of the organization", "attributes": []any{
			field("userName", "The e-mail address with which the person signs in", resource{"required": true, "uniqueness": "server"}),
			field("externalId", "The directory's own id", exactly),
			field("displayName", "The name that others see", nil),
			field("name", "The parts of the name", resource{"type": "complex", "subAttributes": []any{
				field("formatted", "As displayName", readOnly), field("givenName", "The given name", nil), field("familyName", "The family name", nil),
			}}),
			field("active", "false suspends the person at once", resource{"type": "boolean"}),
			field("emails", "Always the userName", resource{"type": "complex", "multiValued": true, "mutability": "readOnly", "subAttributes": []any{
				field("value", "The address", readOnly), field("type", "work", readOnly), field("primary", "true", resource{"type": "boolean", "mutability": "readOnly"}),
			}}),
			field("groups", "The groups that the person is in", resource{"type": "complex", "multiValued": true, "mutability": "readOnly", "subAttributes": []any{
				field("value", "The group's id", resource{"caseExact": true, "mutability": "readOnly"}), ref("Group"), field("display", "Its name", readOnly), field("type", "direct", readOnly),
			}}),
		}},
		{"id": schemaGroup, "name": "Group", "description": "A group that directories fill", "attributes": []any{
			field("displayName", "The name", resource{"required": true, "uniqueness": "server"}),
			field("externalId", "The directory's own id", exactly),
			field("members", "Users in the group", resource{"type": "complex", "multiValued": true, "subAttributes": []any{
				field("value", "The user's id", resource{"caseExact": true, "mutability": "immutable"}), ref("User"), field("type", "User", resource{"mutability": "immutable", "canonicalValues": []any{"User"}}),
			}}),
		}},
	}
	for _, s := range out {
		s["schemas"] = []any{schemaSchema}
		s["meta"] = resource{"resourceType": "Schema", "location": h.location("Schemas", s["id"].(string))}
	}
	return out
}
