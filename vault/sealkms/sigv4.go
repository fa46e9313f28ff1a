package sealkms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"vaultpam/internal/secret"
)

// Credentials are of an AWS principal.
type Credentials struct {
	ID     string
	Secret secret.Value
	Token  secret.Value // of a session; empty for a lasting key
}

const (
	algorithm = "AWS4-HMAC-SHA256"
	stamp     = "20060102T150405Z"
)

// sign adds an AWS Signature Version 4 to a request whose body is given. It
// covers the host, the body and every header that is set by then.
func sign(r *http.Request, body []byte, c Credentials, region, service string, now time.Time) {
	at := now.UTC().Format(stamp)
	r.Header.Set("X-Amz-Date", at)
	if !c.Token.Empty() {
		r.Header.Set("X-Amz-Security-Token", string(c.Token.Expose()))
	}
	names := []string{"host"}
	values := map[string]string{"host": r.Host}
	if r.Host == "" {
		values["host"] = r.URL.Host
	}
	for name, v := range r.Header {
		lower := strings.ToLower(name)
		names = append(names, lower)
		for i := range v {
			v[i] = strings.Join(strings.Fields(v[i]), " ")
		}
		values[lower] = strings.Join(v, ",")
	}
	slices.Sort(names)
	var canonical strings.Builder
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	canonical.WriteString(r.Method + "\n" + path + "\n" + strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20") + "\n")
	for _, name := range names {
		canonical.WriteString(name + ":" + values[name] + "\n")
	}
	signed := strings.Join(names, ";")
	canonical.WriteString("\n" + signed + "\n" + hash(body))

	scope := at[:8] + "/" + region + "/" + service + "/aws4_request"
	text := algorithm + "\n" + at + "\n" + scope + "\n" + hash([]byte(canonical.String()))
	key := append([]byte("AWS4"), c.Secret.Expose()...)
	defer func() { clear(key) }()
	for _, part := range strings.Split(scope, "/") {
		next := mac(key, part)
		clear(key)
		key = next
	}
	r.Header.Set("Authorization", algorithm+" Credential="+c.ID+"/"+scope+", SignedHeaders="+signed+", Signature="+hex.EncodeToString(mac(key, text)))
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
