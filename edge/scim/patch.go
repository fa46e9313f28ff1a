package scim

import (
	"encoding/json"
	"slices"
	"strings"

	"vaultpam/pam"
	"vaultpam/pam/provisioning"
)

// maxOperations is how many operations one PATCH has.
const maxOperations = 1000

// operation is one of a PATCH (RFC 7644 section 3.5.2).
type operation struct {
	op    string // add, remove or replace
	path  patchPath
	bare  bool // the operation had no path: it came as a member of its value
	value any
	given bool // there is a value
}

// parsePatch reads the body of a PATCH. What comes without a path becomes one
// operation for each member of the value.
func parsePatch(body resource) ([]operation, error) {
	if err := checkSchemas(body, schemaPatchOp); err != nil {
		return nil, err
	}
	list, ok := get(body, "Operations").([]any)
	if !ok || len(list) == 0 {
		return nil, &problemError{status: 400, kind: "invalidSyntax", detail: "Operations must be a list that is not empty."}
	}
	var out []operation
	for _, x := range list {
		m, ok := x.(resource)
		if !ok {
			return nil, &problemError{status: 400, kind: "invalidSyntax", detail: "An operation must be an object."}
		}
		o, err := parseOperation(m)
		if err != nil {
			return nil, err
		}
		if out = append(out, o...); len(out) > maxOperations {
			return nil, &problemError{status: 413, detail: "There are too many operations in one request."}
		}
	}
	return out, nil
}

func parseOperation(m resource) ([]operation, error) {
	name, _ := get(m, "op").(string)
	o := operation{op: strings.ToLower(name), value: get(m, "value")}
	o.given = o.value != nil
	if o.op != "add" && o.op != "remove" && o.op != "replace" {
		return nil, &problemError{status: 400, kind: "invalidSyntax", detail: "op must be add, remove or replace."}
	}
	if path := get(m, "path"); path != nil && path != "" {
		text, ok := path.(string)
		if !ok {
			return nil, &problemError{status: 400, kind: "invalidPath", detail: "path must be a string."}
		}
		var err error
		o.path, err = parsePath(text)
		return []operation{o}, err
	}
	if o.op == "remove" {
		return nil, &problemError{status: 400, kind: "noTarget", detail: "Removing needs a path."} // section 3.5.2.2
	}
	members, ok := o.value.(resource)
	if !ok {
		return nil, badValue("value", "must be an object where there is no path")
	}
	var out []operation
	for key, value := range members {
		one := operation{op: o.op, bare: true, value: value, given: value != nil}
		if strings.HasPrefix(strings.ToLower(key), "urn:") && isComplex(value) {
			continue // a whole extension, of which nothing is kept
		}
		var err error
		if one.path, err = parsePath(key); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	// A whole attribute comes before its parts; else the order does not matter.
	slices.SortFunc(out, func(a, b operation) int {
		return strings.Compare(a.path.name+"."+a.path.sub, b.path.name+"."+b.path.sub)
	})
	return out, nil
}

// checkSchemas refuses a body that says it is something else.
func checkSchemas(body resource, want string) error {
	list := get(body, "schemas")
	if list == nil {
		return nil
	}
	all, ok := list.([]any)
	if ok && slices.ContainsFunc(all, func(x any) bool { s, _ := x.(string); return strings.EqualFold(s, want) }) {
		return nil
	}
	return &problemError{status: 400, kind: "invalidValue", detail: "schemas must name " + want + "."}
}

// unkept are the attributes of RFC 7643 sections 4.1 and 4.2 that nothing is
// made of here. Directories send them as they are configured by default, so
// they are left out and not refused. password is among them, and so is all
// that sounds like a right.
var unkept = []string{
	"emails", "nickname", "profileurl", "title", "usertype", "preferredlanguage", "locale", "timezone", "password", "phonenumbers",
	"ims", "photos", "addresses", "entitlements", "roles", "x509certificates", "schemas",
}

// readOnly are those that only the server sets.
var readOnly = []string{"id", "meta", "groups"}

func (o operation) core(schema string) bool {
	return o.path.schema == "" || strings.EqualFold(o.path.schema, schema)
}

// besides decides about an attribute that the resource does not keep.
func (o operation) besides(schema string) error {
	switch {
	case !o.core(schema) || slices.Contains(unkept, o.path.name):
		return nil
	case o.bare:
		return nil // as in a POST or PUT, where it is left out as well (section 3.3)
	case slices.Contains(readOnly, o.path.name):
		return &problemError{status: 400, kind: "mutability", detail: "Only the server sets " + o.path.name + "."}
	}
	return &problemError{status: 400, kind: "invalidPath", detail: "A path names an attribute that there is not."}
}

// patchUser applies operations to what a directory says of a user.
func patchUser(p *provisioning.Profile, ops []operation) error {
	for _, o := range ops {
		if err := o.onUser(p); err != nil {
			return err
		}
	}
	return nil
}

func (o operation) onUser(p *provisioning.Profile) error {
	var field *string
	if o.core(schemaUser) && o.path.filter == nil {
		switch o.path.name + "." + o.path.sub {
		case "username.":
			field = &p.Email
		case "displayname.":
			field = &p.Name
		case "externalid.":
			field = &p.ExternalID
		case "name.givenname":
			field = &p.GivenName
		case "name.familyname":
			field = &p.FamilyName
		case "name.formatted", "name.middlename", "name.honorificprefix", "name.honorificsuffix":
			return nil // made from the display name, or not kept
		case "name.":
			return o.onName(p)
		case "active.":
			return o.onActive(p)
		}
	}
	if field == nil {
		return o.besides(schemaUser)
	}
	if o.op == "remove" || !o.given {
		if field == &p.Email {
			return badValue("userName", "cannot be removed")
		}
		*field = ""
		return nil
	}
	text, err := asText(o.path.name, o.value)
	if err == nil {
		*field = text
	}
	return err
}

// onName sets the parts that are given; others stay (section 3.5.2.3).
func (o operation) onName(p *provisioning.Profile) error {
	if o.op == "remove" || !o.given {
		p.GivenName, p.FamilyName = "", ""
		return nil
	}
	m, ok := o.value.(resource)
	if !ok {
		return badValue("name", "must be an object")
	}
	for key, value := range m {
		part := operation{op: o.op, bare: true, value: value, given: value != nil, path: patchPath{attrPath: attrPath{name: "name", sub: strings.ToLower(key)}}}
		if err := part.onUser(p); err != nil {
			return err
		}
	}
	return nil
}

// onActive does not let anybody become active by a value that is taken away.
func (o operation) onActive(p *provisioning.Profile) error {
	if o.op == "remove" || !o.given {
		return badValue("active", "cannot be removed")
	}
	value, ok := asBool(o.value)
	if !ok {
		return badValue("active", "must be true or false")
	}
	p.Active = value
	return nil
}

// profileOf reads the body of a POST or PUT. What it does not say is as base
// has it.
func profileOf(body resource, base provisioning.Profile) (provisioning.Profile, error) {
	if err := checkSchemas(body, schemaUser); err != nil {
		return base, err
	}
	name, _ := get(body, "name").(resource)
	var err error
	for _, f := range []struct {
		name  string
		value any
		into  *string
	}{
		{"userName", get(body, "userName"), &base.Email},
		{"displayName", get(body, "displayName"), &base.Name},
		{"externalId", get(body, "externalId"), &base.ExternalID},
		{"name.givenName", get(name, "givenName"), &base.GivenName},
		{"name.familyName", get(name, "familyName"), &base.FamilyName},
	} {
		if *f.into, err = asText(f.name, f.value); err != nil {
			return base, err
		}
	}
	if base.Email == "" {
		return base, badValue("userName", "is required")
	}
	if base.Name == "" {
		if base.Name, err = asText("name.formatted", get(name, "formatted")); err != nil {
			return base, err
		}
	}
	if active := get(body, "active"); active != nil {
		value, ok := asBool(active)
		if !ok {
			return base, badValue("active", "must be true or false")
		}
		base.Active = value
	}
	return base, nil
}

// groupIn reads the body of a POST or PUT of a group.
func groupIn(body resource) (name, externalID string, members []pam.UserID, err error) {
	if err := checkSchemas(body, schemaGroup); err != nil {
		return "", "", nil, err
	}
	if name, err = asText("displayName", get(body, "displayName")); err != nil {
		return "", "", nil, err
	}
	if name == "" {
		return "", "", nil, badValue("displayName", "is required")
	}
	if externalID, err = asText("externalId", get(body, "externalId")); err != nil {
		return "", "", nil, err
	}
	members, err = membersIn(get(body, "members"))
	return name, externalID, members, err
}

// membersIn reads members: one or a list of objects with a value, or of values.
func membersIn(v any) ([]pam.UserID, error) {
	list, many := v.([]any)
	if !many && v != nil {
		list = []any{v}
	}
	if len(list) > provisioning.MaxMembers {
		return nil, badValue("members", "are too many")
	}
	out := make([]pam.UserID, 0, len(list))
	for _, x := range list {
		if m, ok := x.(resource); ok {
			if kind, _ := get(m, "type").(string); kind != "" && !strings.EqualFold(kind, "User") {
				return nil, badValue("members", "can be users only; groups within groups are not kept")
			}
			x = get(m, "value")
		}
		id, ok := x.(string)
		if !ok {
			return nil, badValue("members", "must have a value, the id of a user")
		}
		out = append(out, pam.UserID(id))
	}
	return out, nil
}

// groupPatch is operations on a group. Who is in it need not be known, but for
// a filter on more than their ids.
type groupPatch struct {
	ops     []operation
	handler *Handler
}

func (g groupPatch) needsMembers() bool {
	return slices.ContainsFunc(g.ops, func(o operation) bool {
		_, plain := named(o.path.filter)
		return o.path.filter != nil && !plain
	})
}

// named are the ids that a filter names, if it does nothing else:
// value eq "a" or value eq "b".
func named(e *expr) ([]pam.UserID, bool) {
	if e == nil {
		return nil, false
	}
	switch e.op {
	case "eq":
		id, ok := e.value.(string)
		return []pam.UserID{pam.UserID(id)}, ok && e.attr.name == "value" && e.attr.sub == ""
	case opOr:
		var all []pam.UserID
		for _, s := range e.sub {
			ids, ok := named(s)
			if !ok {
				return nil, false
			}
			all = append(all, ids...)
		}
		return all, true
	}
	return nil, false
}

// edit is what the operations, one after the other, come to.
func (g groupPatch) edit(now provisioning.Group) (provisioning.GroupEdit, error) {
	var out provisioning.GroupEdit
	moved := map[pam.UserID]bool{} // true: to come in, false: to go
	for _, o := range g.ops {
		if !o.core(schemaGroup) || o.path.name != "members" {
			if err := o.onGroup(&out); err != nil {
				return out, err
			}
			continue
		}
		if o.path.sub != "" {
			return out, &problemError{status: 400, kind: "mutability", detail: "What a member is cannot be changed, only who is one."}
		}
		if o.path.filter != nil {
			chosen, err := g.chosen(o, now, out.All, moved)
			if err != nil {
				return out, err
			}
			for _, id := range chosen {
				moved[id] = false
			}
			continue
		}
		users, err := membersIn(o.value)
		if err != nil {
			return out, err
		}
		if o.op == "replace" || o.op == "remove" && !o.given {
			out.All = true
			clear(moved)
		}
		for _, id := range users {
			moved[id] = o.op != "remove"
		}
		if len(moved) > 2*provisioning.MaxMembers {
			return out, badValue("members", "are too many")
		}
	}
	for id, in := range moved {
		if in {
			out.Add = append(out.Add, id)
		} else if !out.All {
			out.Remove = append(out.Remove, id)
		}
	}
	return out, nil
}

// chosen are the members that a filter names.
func (g groupPatch) chosen(o operation, now provisioning.Group, all bool, moved map[pam.UserID]bool) ([]pam.UserID, error) {
	if o.op != "remove" {
		return nil, &problemError{status: 400, kind: "mutability", detail: "What a member is cannot be changed, only who is one."}
	}
	if ids, plain := named(o.path.filter); plain {
		return ids, nil
	}
	there := map[pam.UserID]bool{}
	if !all {
		for _, id := range now.Members {
			there[id] = true
		}
	}
	for id, in := range moved {
		there[id] = in
	}
	var out []pam.UserID
	for id, in := range there {
		if in && o.path.filter.match(g.handler.membersOf([]pam.UserID{id})[0].(resource)) {
			out = append(out, id)
		}
	}
	return out, nil
}

func (o operation) onGroup(out *provisioning.GroupEdit) error {
	name := o.path.name + "." + o.path.sub
	if !o.core(schemaGroup) || o.path.filter != nil || name != "displayname." && name != "externalid." {
		return o.besides(schemaGroup)
	}
	text, err := asText(o.path.name, o.value)
	if err != nil {
		return err
	}
	if o.op == "remove" {
		text = ""
	}
	if name == "externalid." {
		out.ExternalID = &text
		return nil
	}
	if text == "" {
		return badValue("displayName", "cannot be removed")
	}
	out.Name = &text
	return nil
}

// number reads an integer of a search request.
func number(v any) (int, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, v == nil
	}
	i, err := n.Int64()
	return int(max(min(i, 1<<30), -1)), err == nil
}
