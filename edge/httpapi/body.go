package httpapi

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"vaultpam/pam"
)

// maxDepth bounds the nesting of a body, since it is walked recursively.
const maxDepth = 16

// decode applies body to base as a JSON merge patch (RFC 7396), checks the
// result against T's schema and returns it. With base nil it reads a new
// object, in which null means absent.
func decode[T any](a *API, base any, body []byte) (T, error) {
	var out T
	patch, err := parseObject(body)
	if err != nil {
		return out, err
	}
	target := map[string]any{}
	if base != nil {
		text, err := json.Marshal(base)
		if err != nil {
			return out, pam.Wrap("decode body", err)
		}
		if target, err = parseObject(text); err != nil {
			return out, pam.Wrap("decode body", err)
		}
	}
	merged, ok := mergePatch(target, patch, 0)
	if !ok {
		return out, pam.Errorf(pam.BadRequest, "decode body", "The body is nested too deeply.")
	}
	registry := a.huma.OpenAPI().Components.Schemas
	schema := registry.Schema(typeOf[T](), false, typeOf[T]().Name())
	var result huma.ValidateResult
	path := huma.NewPathBuffer(make([]byte, 0, 128), 0)
	path.Push("body")
	huma.Validate(registry, schema, path, huma.ModeWriteToServer, merged, &result)
	if len(result.Errors) > 0 {
		return out, newError(422, "validation failed", result.Errors...)
	}
	text, err := json.Marshal(merged)
	if err != nil {
		return out, pam.Wrap("decode body", err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, &pam.Error{Kind: pam.Invalid, Op: "decode body", Err: err}
	}
	return out, nil
}

func parseObject(text []byte) (map[string]any, error) {
	var v any
	if err := unmarshal(text, &v); err != nil {
		return nil, pam.Errorf(pam.BadRequest, "decode body", "The body is not valid JSON.")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, pam.Errorf(pam.BadRequest, "decode body", "The body must be a JSON object.")
	}
	return object, nil
}

// mergePatch is RFC 7396 section 2; false when the nesting is too deep.
func mergePatch(target any, patch map[string]any, depth int) (map[string]any, bool) {
	if depth > maxDepth {
		return nil, false
	}
	out, ok := target.(map[string]any)
	if !ok {
		out = map[string]any{}
	}
	for name, value := range patch {
		switch v := value.(type) {
		case nil:
			delete(out, name)
		case map[string]any:
			merged, ok := mergePatch(out[name], v, depth+1)
			if !ok {
				return nil, false
			}
			out[name] = merged
		default:
			out[name] = v
		}
	}
	return out, true
}

// etag names a version of an object.
func etag(version int64) string { return `"v` + strconv.FormatInt(version, 10) + `"` }

// ifMatch reads the version that an update asks for; 0 means any.
func ifMatch(header string) (int64, error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return 0, nil
	}
	inner := strings.TrimPrefix(header, "W/")
	inner, ok := strings.CutPrefix(inner, `"v`)
	inner, ok2 := strings.CutSuffix(inner, `"`)
	n, err := strconv.ParseInt(inner, 10, 64)
	if !ok || !ok2 || err != nil || n < 1 {
		return 0, &pam.Error{Kind: pam.Precondition, Op: "read If-Match"}
	}
	return n, nil
}
