package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsPage string

// openAPI serves the document that describes the routes as they are.
func (a *API) openAPI() http.HandlerFunc {
	doc, err := json.Marshal(a.huma.OpenAPI())
	return func(w http.ResponseWriter, r *http.Request) {
		callOf(r.Context()).route = "/api/v1/openapi.json"
		if err != nil {
			writeError(w, fromError(err))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(doc)
	}
}

// Document is the OpenAPI document of this version, for those who generate a
// client from it without a server.
func Document(version string) ([]byte, error) {
	return json.Marshal(New(Deps{Version: version}).huma.OpenAPI())
}

// entry is one operation on the reference page.
type entry struct {
	ID, Method, Path, Summary string
	Params                    []*huma.Param
	Body, Answer              string // names of schemas
	Status                    []string
}

// reference serves a page that is made of the same document: no script, no
// foreign host.
func (a *API) reference() http.HandlerFunc {
	doc := a.huma.OpenAPI()
	groups := map[string][]entry{}
	for path, item := range doc.Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			if op != nil {
				groups[op.Tags[0]] = append(groups[op.Tags[0]], describe(method, path, op))
			}
		}
	}
	names := make([]string, 0, len(groups))
	for name, entries := range groups {
		names = append(names, name)
		slices.SortFunc(entries, func(x, y entry) int { return strings.Compare(x.Path+x.Method, y.Path+y.Method) })
	}
	slices.Sort(names)
	schemas := map[string]string{}
	for name, schema := range doc.Components.Schemas.Map() {
		text, err := json.MarshalIndent(schema, "", "  ")
		if err == nil {
			schemas[name] = string(text)
		}
	}
	var page bytes.Buffer
	err := template.Must(template.New("docs").Parse(docsPage)).Execute(&page, map[string]any{"Version": a.Version, "Names": names, "Groups": groups, "Schemas": schemas})
	return func(w http.ResponseWriter, r *http.Request) {
		callOf(r.Context()).route = "/api/v1/docs"
		if err != nil {
			writeError(w, fromError(err))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'")
		_, _ = w.Write(page.Bytes())
	}
}

//go:embed docs.css
var docsStyle []byte

func (a *API) style(w http.ResponseWriter, r *http.Request) {
	callOf(r.Context()).route = "/api/v1/docs.css"
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(docsStyle)
}

func describe(method, path string, op *huma.Operation) entry {
	e := entry{ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, Params: op.Parameters}
	if op.RequestBody != nil {
		e.Body = schemaName(op.RequestBody.Content["application/json"])
	}
	for status, response := range op.Responses {
		e.Status = append(e.Status, status)
		if strings.HasPrefix(status, "2") {
			e.Answer = schemaName(response.Content["application/json"])
		}
	}
	slices.Sort(e.Status)
	return e
}

func schemaName(m *huma.MediaType) string {
	if m == nil || m.Schema == nil {
		return ""
	}
	s := m.Schema
	if s.Items != nil {
		s = s.Items
	}
	return strings.TrimPrefix(s.Ref, "#/components/schemas/")
}
