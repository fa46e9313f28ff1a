package httpapi

import (
	"context"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	v1 "vaultpam/api/v1"
	"vaultpam/edge"
	"vaultpam/pam"
	"vaultpam/pam/identity"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// access is who may call a route at all. What they may do there is decided by
// the service.
type access uint8

const (
	public   access = iota // nobody is asked who they are
	person                 // a valid token; no organization is entered
	member                 // a valid token and an active membership of the organization
	ticketed               // the same, or a WebSocket of somebody unknown, who shows a one-time ticket on it
)

// flags of a route.
type flags uint8

const (
	sensitive    flags = 1 << iota // counted against the user's limit of sensitive operations
	countLogin                     // counted against the source's limit of logins
	secrets                        // the answer carries a secret and is never kept
	whenSealed                     // answers while the vault is sealed
	restricted                     // open to a token that may only change the password
	enrolling                      // open to a token that may only enrol a second factor
	bodyOptional                   // an action that can do without a body
	byCookie                       // about the console's login: no bearer token serves
)

// route is one row of the table.
type route struct {
	endpoint string // "GET /safes/{id}", below /api/v1
	summary  string
	access   access
	scope    string // that a personal access token must carry; "" none, "-" refused to it
	status   int    // of success
	flags    flags
	body     reflect.Type // of a body that is read by hand, for the document
}

func (rt route) has(f flags) bool { return rt.flags&f != 0 }

// notJSON are the answers that are something else.
var notJSON = map[reflect.Type]string{typeOf[chunkAnswer](): "application/octet-stream", typeOf[metadataAnswer](): "application/samlmetadata+xml"}

// serve adds a route. h gets the actor as an argument.
func serve[I, O any](a *API, rt route, h func(context.Context, pam.Actor, *I) (*O, error)) {
	method, path, _ := strings.Cut(rt.endpoint, " ")
	op := huma.Operation{
		Method: method, Path: "/api/v1" + path, OperationID: operationID(method, path), Summary: rt.summary,
		Tags: []string{strings.Split(path, "/")[1]}, DefaultStatus: rt.status, MaxBodyBytes: maxBody, BodyReadTimeout: bodyTimeout,
		Errors: errorsOf(rt), Middlewares: huma.Middlewares{a.enter(rt)},
	}
	// A body that the handler decodes is checked there, after the patch.
	op.SkipValidateBody = rt.body != nil
	if rt.access != public {
		op.Security = []map[string][]string{{"bearer": {}}, {"cookie": {}}}
		if rt.access == ticketed {
			op.Security = append(op.Security, map[string][]string{})
		}
		if rt.has(byCookie) {
			op.Security = op.Security[1:]
		}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		c := callOf(ctx)
		out, err := h(ctx, c.actor, in)
		if err != nil {
			return nil, a.refusal(c, err)
		}
		return out, nil
	})
	if media := notJSON[typeOf[O]()]; media != "" {
		success := a.huma.OpenAPI().Paths[op.Path].Get.Responses[strconv.Itoa(rt.status)]
		success.Content = map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}
		delete(success.Headers, "Content-Type")
	}
	if rt.body != nil {
		documentBody(a.huma.OpenAPI(), op, rt)
	}
	if typeOf[O]() == typeOf[deletion[v1.Policy]]() {
		answers := a.huma.OpenAPI().Paths[op.Path].Delete.Responses
		answers["202"] = &huma.Response{Description: "It waits for managers", Content: answers["204"].Content}
		answers["204"] = &huma.Response{Description: "No Content"}
	}
}

// refusal words err and logs what must not be shown.
func (a *API) refusal(c *call, err error) *apiError {
	e := fromError(err)
	e.extra.RequestID = c.id
	if e.status >= http.StatusInternalServerError {
		a.Log.Error("request failed", "request_id", c.id, "route", c.route, "error", err)
	}
	return e
}

// documentBody describes a body that the handler reads by hand.
func documentBody(doc *huma.OpenAPI, op huma.Operation, rt route) {
	schema := doc.Components.Schemas.Schema(rt.body, true, rt.body.Name())
	item := doc.Paths[op.Path]
	content := map[string]*huma.MediaType{"application/json": {Schema: schema}}
	switch op.Method {
	case http.MethodPost:
		item.Post.RequestBody.Content = content
		item.Post.RequestBody.Required = !rt.has(bodyOptional)
	case http.MethodPut:
		item.Put.RequestBody.Content = content
	case http.MethodPatch:
		content["application/merge-patch+json"] = &huma.MediaType{Schema: schema}
		item.Patch.RequestBody.Content = content
	}
}

func operationID(method, path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '{' || r == '}' || r == '-' || r == '_' })
	return strings.ToLower(method) + "-" + strings.Join(words, "-")
}

// errorsOf lists what a route may answer beside success; huma adds 422 and 500.
func errorsOf(rt route) []int {
	out := []int{http.StatusBadRequest, http.StatusTooManyRequests, http.StatusServiceUnavailable}
	if rt.access != public || rt.has(countLogin) {
		out = append(out, http.StatusUnauthorized)
	}
	if rt.access != public || rt.has(byCookie) {
		out = append(out, http.StatusForbidden)
	}
	method, path, _ := strings.Cut(rt.endpoint, " ")
	if strings.Contains(path, "{") || method == http.MethodPost { // a body names objects, too
		out = append(out, http.StatusNotFound)
	}
	if method == http.MethodPatch || method == http.MethodDelete {
		out = append(out, http.StatusPreconditionFailed)
	}
	if rt.access == ticketed {
		out = append(out, http.StatusConflict)
	}
	if method != http.MethodGet {
		out = append(out, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if path == "/sessions" || path == "/checkouts" {
		out = append(out, http.StatusLocked)
	}
	return out
}

// enter is the door of every route: seal, headers, login, limits, scope, media type,
// query, Idempotency-Key, in this order.
func (a *API) enter(rt route) func(huma.Context, func(huma.Context)) {
	_, path, _ := strings.Cut(rt.endpoint, " ")
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		c := callOf(r.Context())
		c.route = "/api/v1" + path
		refuse := func(err error) { writeError(w, a.refusal(c, err)) }
		if a.Vault.Status().Sealed && !rt.has(whenSealed) {
			refuse(&pam.Error{Kind: pam.Sealed, Op: "enter"})
			return
		}
		if err := checkHeaders(r.Header); err != nil {
			refuse(err)
			return
		}
		if rt.has(countLogin) && !a.take(w, c, edge.LimitLogin, edge.Source(c.from)) {
			return
		}
		if rt.access == public && rt.has(byCookie) {
			if err := a.sameOrigin(r); err != nil {
				refuse(err)
				return
			}
			c.token = a.cookieToken(r)
		}
		if rt.access != public {
			switch err := a.login(r, c, rt); {
			case err == nil:
				if !a.take(w, c, edge.LimitUser, string(c.actor.User)) {
					return
				}
				if rt.has(sensitive) && !a.take(w, c, edge.LimitSensitive, string(c.actor.User)) {
					return
				}
				if err := checkScope(c.actor, rt); err != nil {
					refuse(err)
					return
				}
			case rt.access == ticketed && edge.IsWebSocket(r):
				c.actor = pam.Actor{}
			default:
				refuse(err)
				return
			}
		}
		if err := checkMediaType(r); err != nil {
			refuse(err)
			return
		}
		if err := checkQuery(r.URL.RawQuery); err != nil {
			refuse(err)
			return
		}
		if key := r.Header.Get("Idempotency-Key"); key != "" && r.Method == http.MethodPost && rt.access != public {
			a.idempotent(rt, key, ctx, next)
			return
		}
		next(ctx)
	}
}

// login finds out who asks.
func (a *API) login(r *http.Request, c *call, rt route) error {
	if len(r.Header.Values("Authorization")) == 0 {
		return a.cookieLogin(r, c, rt)
	}
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || len(r.Header.Values("Authorization")) != 1 || rt.has(byCookie) {
		return &pam.Error{Kind: pam.Unauthenticated, Op: "read token"}
	}
	c.token = bearer
	if rt.has(restricted | enrolling) {
		purpose := identity.PasswordChange
		if rt.has(enrolling) {
			purpose = identity.MFAEnrolment
		}
		actor, err := a.Identity.AuthenticateRestricted(r.Context(), bearer, purpose, clientOf(c))
		c.actor = actor
		return err
	}
	who := clientOf(c)
	who.Personal = rt.access < member
	actor, err := a.Identity.Authenticate(r.Context(), bearer, wantedOrg(r, rt), who)
	return entered(c, rt, actor, err)
}

// wantedOrg is the organization that a request is about; "" for the token's.
func wantedOrg(r *http.Request, rt route) pam.OrgID {
	if rt.access < member {
		return ""
	}
	return pam.OrgID(r.Header.Get("X-Active-Org-Id"))
}

func entered(c *call, rt route, actor pam.Actor, err error) error {
	c.actor = actor
	if err == nil && rt.access >= member && actor.Org == "" {
		err = &pam.Error{Kind: pam.OrgDenied, Op: "enter organization"}
	}
	return err
}

func clientOf(c *call) identity.Client {
	return identity.Client{From: c.from, RequestID: c.id, UserAgent: c.userAgent}
}

func checkScope(actor pam.Actor, rt route) error {
	switch {
	case rt.scope == "-" && actor.Token == pam.PersonalToken:
		return pam.Errorf(pam.Denied, "check scope", "A personal access token cannot do this.")
	case rt.scope == "" || rt.scope == "-" || actor.HasScope(rt.scope):
		return nil
	}
	return pam.Errorf(pam.ScopeMissing, "check scope", "The token lacks the scope %s.", rt.scope)
}

// checkMediaType refuses a body that says it is not JSON. No body needs no
// Content-Type; a merge patch has two names.
func checkMediaType(r *http.Request) error {
	if r.ContentLength == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return &pam.Error{Kind: pam.Unsupported, Op: "check media type"}
	}
	if err == nil && (media == "application/json" || media == "application/merge-patch+json" && r.Method == http.MethodPatch) {
		return nil
	}
	return &pam.Error{Kind: pam.Unsupported, Op: "check media type"}
}

// take counts the request against a limit and answers 429 when it is spent.
func (a *API) take(w http.ResponseWriter, c *call, category edge.Category, key string) bool {
	rate, ok := a.Limiter.Take(category, key)
	if rate.Limit == 0 {
		return true
	}
	if rate.Tighter(c.rate) {
		c.rate = rate
	}
	if ok {
		return true
	}
	seconds := max(1, int(rate.Reset.Sub(a.Clock.Now()).Round(time.Second)/time.Second))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	writeError(w, a.refusal(c, pam.Errorf(pam.TooMany, "take", "Too many requests. Retry after %d seconds.", seconds)))
	return false
}
