package httpapi

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"vaultpam/pam"
)

// boundedBuffer keeps at most maxBody bytes; an answer beyond that is not
// kept at all.
type boundedBuffer struct {
	bytes.Buffer
	over bool
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.over || b.Len()+len(p) > maxBody {
		b.over = true
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// idempotent runs a POST at most once per key, within organization, user,
// token and route. A repeat gets the first answer, or, where that carried a
// secret, 409 with the id of what was made.
func (a *API) idempotent(rt route, key string, ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	c := callOf(r.Context())
	refuse := func(err error) { writeError(w, a.refusal(c, err)) }
	if len(key) > maxKeySize {
		var ps pam.Problems
		ps.Add("Idempotency-Key", "is longer than 255 bytes")
		refuse(ps.Err("read Idempotency-Key"))
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // as for every other body
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, long := errors.AsType[*http.MaxBytesError](err); !long {
			err = pam.Errorf(pam.BadRequest, "read body", "The body took too long to arrive, or did not come to its end.")
		}
		refuse(err)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	scope := a.digest(string(c.actor.Org), string(c.actor.User), c.actor.TokenID, r.Method+" "+r.URL.Path, key)
	kept, err := a.Idempotency.Reserve(r.Context(), scope, a.digest(string(body)), a.Clock.Now().Add(keyLifetime))
	if err != nil {
		refuse(err)
		return
	}
	if kept != nil {
		repeat(w, rt, kept)
		return
	}
	rw, _ := w.(*response)
	rw.copy = &boundedBuffer{}
	done := false
	defer func() {
		if !done {
			_ = a.Idempotency.Release(r.Context(), scope)
		}
	}()
	next(ctx)
	if rw.status >= 300 || rw.copy.over {
		return // refusals and failures may be tried again
	}
	answer := pam.IdempotentAnswer{Status: rw.status, ContentType: rw.Header().Get("Content-Type"), Body: rw.copy.Bytes(), ObjectID: objectID(rw.copy.Bytes())}
	if rt.has(secrets) {
		answer.Body = nil
	}
	if err := a.Idempotency.Complete(r.Context(), scope, answer); err != nil {
		a.Log.Error("answer not kept for its Idempotency-Key", "request_id", c.id, "error", err)
		return
	}
	done = true
}

func repeat(w http.ResponseWriter, rt route, kept *pam.IdempotentAnswer) {
	if rt.has(secrets) {
		e := fromError(pam.Errorf(pam.Conflict, "repeat", "This was done before; the secret in its answer is not kept."))
		e.extra.ID = kept.ObjectID
		writeError(w, e)
		return
	}
	w.Header().Set("Idempotent-Replayed", "true")
	if kept.ContentType != "" {
		w.Header().Set("Content-Type", kept.ContentType)
	}
	w.WriteHeader(kept.Status)
	_, _ = w.Write(kept.Body)
}

func objectID(body []byte) string {
	var object struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(body, &object)
	return object.ID
}

// digest joins parts so that no two lists of parts give the same text. It has
// a key, since a body may hold a password: without one, whoever reads the
// database could try passwords against the digest.
func (a *API) digest(parts ...string) string {
	h := hmac.New(sha256.New, a.DigestKey.Expose())
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
