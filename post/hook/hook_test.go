package hook_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/outbound"
	"vaultpam/post/hook"
)

func local(timeout time.Duration) *hook.Client {
	return hook.New(outbound.Rules{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: timeout})
}

func receiver(t *testing.T, f http.HandlerFunc) string {
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL + "/secret-path"
}

func TestBodyArrivesAsItIs(t *testing.T) {
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || string(body) != `{"a":1}` || r.Header.Get("Webhook-Id") != "evt_1" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	status, wait, err := local(0).Post(t.Context(), url, http.Header{"Webhook-Id": {"evt_1"}}, []byte(`{"a":1}`))
	if err != nil || status != http.StatusTooManyRequests || wait != 17*time.Second {
		t.Errorf("%d %s %v", status, wait, err)
	}
}

func TestAttackReceiverThatMisbehaves(t *testing.T) {
	inside := receiver(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	go func() {
		for {
			c, err := raw.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("SSH-2.0-OpenSSH\r\n"))
			_ = c.Close()
		}
	}()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for name, c := range map[string]struct {
		url, want string
	}{
		"sends elsewhere": {receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", inside)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}), "elsewhere"},
		"does not answer":      {receiver(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "in time"},
		"speaks otherwise":     {"http://" + raw.Addr().String() + "/secret-path", "broke"},
		"is not there":         {"http://127.0.0.1:1/secret-path", "cannot be reached"},
		"has another's name":   {secure.URL + "/secret-path", "not one that we trust"},
		"is the cloud's own":   {"http://169.254.169.254/secret-path", "not one that this server may ask"},
		"is inside the house":  {"https://10.0.0.1/secret-path", "not one that this server may ask"},
		"is our own other way": {"https://[::1]/secret-path", "not one that this server may ask"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := local(500*time.Millisecond).Post(t.Context(), c.url, http.Header{}, nil)
			var p hook.Problem
			if !errors.As(err, &p) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want something with %q and without the address", err, c.want)
			}
		})
	}
}

func TestEndlessAnswerEnds(t *testing.T) {
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	began := time.Now()
	status, _, err := local(5*time.Second).Post(t.Context(), url, http.Header{}, nil)
	if err != nil || status != http.StatusOK || time.Since(began) > 3*time.Second {
		t.Errorf("%d %v after %s", status, err, time.Since(began))
	}
}

func TestCancelledPostReturns(t *testing.T) {
	url := receiver(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, _, err := local(time.Minute).Post(ctx, url, http.Header{}, nil); err == nil {
		t.Error("no error")
	}
}
