package script

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// raw sends bytes over a connection of its own and returns the answers that
// come until the server closes it, or is silent for a second.
func (p *proc) raw(t testing.TB, request string) []*http.Response {
	t.Helper()
	c, err := net.Dial("tcp", p.http)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer c.Close()
	go func() { _, _ = io.WriteString(c, request) }() // ends with the connection
	var out []*http.Response
	for r := bufio.NewReader(c); ; {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return out
		}
		out = append(out, resp)
		// What the client still sends may undo the end of an answer.
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return out
		}
	}
}

// A proxy in front takes one request where the server takes two, and so lets
// an attacker put their request in front of somebody else's. Of each of these
// the server makes one answer, and then the connection ends.
func TestAttackRequestsInsideRequests(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	inner := "DELETE /api/v1/safes/" + owner.safe("Example").ID + " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + owner.token + "\r\n\r\n"
	head := "POST /api/v1/auth/login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
	var wg sync.WaitGroup
	for what, request := range map[string]string{
		"both lengths, chunked first":   head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner,
		"both lengths, chunked last":    head + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 5+len(inner)) + inner,
		"two lengths":                   head + fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n", len(inner)) + inner,
		"two lengths in one":            head + fmt.Sprintf("Content-Length: 0, %d\r\n\r\n", len(inner)) + inner,
		"a length with a sign":          head + "Content-Length: +0\r\n\r\n" + inner,
		"a length in hex":               head + "Content-Length: 0x0\r\n\r\n" + inner,
		"a length below nothing":        head + "Content-Length: -1\r\n\r\n" + inner,
		"space before the colon":        head + fmt.Sprintf("Content-Length : %d\r\n\r\n", len(inner)) + inner,
		"a line that is continued":      head + fmt.Sprintf("X-Folded: a\r\n Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n", len(inner)) + inner,
		"a length that is continued":    head + fmt.Sprintf("Content-Length:\r\n %d\r\n\r\n", len(inner)) + inner,
		"an unknown coding":             head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
		"two codings":                   head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
		"the coding twice":              head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"a coding with a tab":           head + "Transfer-Encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n" + inner,
		"a chunk's length with a sign":  head + "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n" + inner,
		"a chunk's length that wraps":   head + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n" + inner,
		"a bare line feed in a chunk":   head + "Transfer-Encoding: chunked\r\n\r\n0\n\n" + inner,
		"a zero byte in a header":       head + "X-Zero: a\x00b\r\n\r\n" + inner,
		"a bare carriage return":        head + "X-Bare: a\rContent-Length: 0\r\n\r\n" + inner,
		"two hosts":                     "GET /healthz HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n" + inner,
		"no host":                       "GET /healthz HTTP/1.1\r\n\r\n" + inner,
		"a host of its own making":      "GET /healthz HTTP/1.1\r\nHost: h/../\r\n\r\n" + inner,
		"a request line with a space":   "GET /healthz x HTTP/1.1\r\nHost: h\r\n\r\n" + inner,
		"a version of its own":          "GET /healthz HTTP/9.9\r\nHost: h\r\n\r\n" + inner,
		"a method that is no token":     "GE(T /healthz HTTP/1.1\r\nHost: h\r\n\r\n" + inner,
		"the preface of another":        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner,
		"a PROXY header":                "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + inner,
		"a tunnel":                      "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"an upgrade to clear-text HTTP": head + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + inner,
	} {
		wg.Go(func() {
			answers := p.raw(t, request)
			if len(answers) > 1 {
				t.Errorf("%s: %d answers, the last %s", what, len(answers), answers[len(answers)-1].Status)
			}
			for _, a := range answers {
				if a.StatusCode < 400 {
					t.Errorf("%s: %s", what, a.Status)
				}
			}
		})
	}
	wg.Wait()
	owner.safe("Example") // is still there
}

// Headers that a careless server believes: two tokens of which a proxy checks
// the other, an address that the client wrote itself, a host that the client
// would like in links, a method in a header.
func TestAttackHeadersThatLie(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	get := func(headers string) *http.Response {
		t.Helper()
		answers := p.raw(t, "GET /api/v1/safes HTTP/1.1\r\nHost: "+p.http+"\r\nConnection: close\r\n"+headers+"\r\n")
		if len(answers) != 1 {
			t.Fatalf("%d answers to %q", len(answers), headers)
		}
		return answers[0]
	}
	token := "Authorization: Bearer " + owner.token + "\r\n"
	if a := get(token); a.StatusCode != http.StatusOK {
		t.Fatalf("%s", a.Status)
	}
	for _, headers := range []string{token + token, token + "Authorization: Bearer x\r\n", "Authorization: Bearer x\r\n" + token, "Authorization:\r\n" + token} {
		if a := get(headers); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %s", headers, a.Status)
		}
	}

	for _, header := range []string{"X-Active-Org-Id: " + owner.org, "X-Active-Org-Id: org_00000000000000000000000000", `If-Match: "1"`, "Idempotency-Key: one", "X-CSRF-Token: x", "Content-Type: application/json"} {
		if a := get(token + "X-Active-Org-Id: " + owner.org + "\r\n" + header + "\r\n" + header + "\r\n"); a.StatusCode != http.StatusBadRequest {
			t.Errorf("twice %q: %s", header, a.Status)
		}
	}

	for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"} {
		value := "192.0.2.66"
		if name == "Forwarded" {
			value = "for=192.0.2.66"
		}
		a := p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: ownerEmail, Password: ownerPassword}, name, value, "X-Forwarded-Host", "evil.test", "X-Forwarded-Proto", "https").want(http.StatusOK)
		for _, l := range read[[]v1.Login](p.nobody().with(read[v1.Token](a).AccessToken).call("GET", "/me/logins", nil)) {
			if l.ClientIP != "127.0.0.1" {
				t.Errorf("%s was believed: %s", name, l.ClientIP)
			}
		}
	}
	for _, e := range owner.events("LOGIN_SUCCEEDED") {
		if e.SourceIP != "127.0.0.1" && e.SourceIP != "" {
			t.Errorf("the log believes %s", e.SourceIP)
		}
	}

	for _, name := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "X-Original-URL", "X-Rewrite-URL"} {
		value := "DELETE"
		if strings.HasSuffix(name, "URL") {
			value = "/api/v1/no/such"
		}
		owner.call("GET", "/safes/"+owner.safe("Example").ID, nil, name, value).want(http.StatusOK)
	}
	for _, host := range []string{"evil.test", "evil.test:1", "127.0.0.1@evil.test"} {
		a := p.raw(t, "GET /api/v1/safes?limit=1 HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+token+"\r\n")
		for _, r := range a {
			if link := r.Header.Get("Link"); strings.Contains(link, "evil") {
				t.Errorf("the host is in a link: %s", link)
			}
			if location := r.Header.Get("Location"); strings.Contains(location, "evil") {
				t.Errorf("the host is where to go: %s", location)
			}
		}
	}
	a := p.nobody().call("OPTIONS", "/safes", nil, "Origin", "https://evil.test", "Access-Control-Request-Method", "GET")
	b := owner.call("GET", "/safes", nil, "Origin", "https://evil.test")
	for _, r := range []answer{a, b} {
		if r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: another site may read the answer", r.what)
		}
	}
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-16", "application/xml", "application/cbor", ""} {
		owner.call("POST", "/safes", `{"name":"by a form"}`, "Content-Type", media).want(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
	}
	for _, accept := range []string{"application/cbor", "text/html", "application/xml"} {
		r := owner.call("GET", "/safes", nil, "Accept", accept)
		if r.status != http.StatusNotAcceptable && r.header.Get("Content-Type") != "application/json" {
			t.Errorf("Accept %s: %d %s", accept, r.status, r.header.Get("Content-Type"))
		}
	}
}

// A request without an end: a body, a header, a path, or very many of them.
func TestAttackRequestsWithoutMeasure(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	const mebibyte = 1 << 20
	big := `{"name":"x","description":"` + strings.Repeat("x", 2*mebibyte) + `"}`
	owner.call("POST", "/safes", big).want(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")
	owner.call("POST", "/safes", big, "Idempotency-Key", "big").want(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")
	owner.call("PUT", "/me/password", big).want(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")
	p.nobody().call("POST", "/auth/login", big).want(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")

	head := "POST /api/v1/safes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nAuthorization: Bearer " + owner.token + "\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat("x", 64<<10))
	for what, request := range map[string]string{
		"a body of which more is said than sent": head + "Content-Length: 99999999999\r\n\r\n{",
		"a body in chunks":                       head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat(chunk, 64),
		"a header":                               head + "X-Long: " + strings.Repeat("x", mebibyte) + "\r\n\r\n",
		"many headers":                           head + strings.Repeat("X-Many: x\r\n", 20_000) + "\r\n",
		"a path":                                 "GET /api/v1/" + strings.Repeat("x", mebibyte) + " HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		answers := p.raw(t, request)
		if len(answers) > 1 {
			t.Errorf("%s: %d answers", what, len(answers))
		}
		for _, a := range answers {
			if a.StatusCode != http.StatusRequestEntityTooLarge && a.StatusCode != http.StatusRequestHeaderFieldsTooLarge && a.StatusCode != http.StatusRequestURITooLong {
				t.Errorf("%s: %s", what, a.Status)
			}
			if !a.Close {
				t.Errorf("%s: the connection stays", what)
			}
		}
	}
	// A body that is packed: nobody unpacks it.
	owner.call("POST", "/safes", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", "Content-Encoding", "gzip").want(http.StatusBadRequest)
	owner.call("GET", "/safes", nil).want(http.StatusOK)
}
