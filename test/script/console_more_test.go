package script

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"vaultpam/test/target"
)

// consoleMaker is a real Redis at which users are made; getting Down or Up ends
// and starts it, and Users answers whom it has.
type consoleMaker struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Password string `json:"password"` // of default, who may everything
	Down     string `json:"down"`
	Up       string `json:"up"`
	Users    string `json:"users"`
}

// consoleKit is what opens a kit where there is no server.
type consoleKit struct {
	Program string `json:"program"`
	Dir     string `json:"dir"` // for files, and the program's empty home
}

// consoleMore is what some scenarios need besides, by their names.
func consoleMore(t *testing.T, name string) any {
	t.Helper()
	switch name {
	case "kit":
		return consoleKit{binary(t), t.TempDir()}
	case "leases", "pages":
		r := target.StartRedis(t)
		host, port := addressOf(t, r.Addr)
		say := func(do func() string) string {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(do())) }))
			t.Cleanup(s.Close)
			return s.URL
		}
		return consoleMaker{
			host, port, r.Password,
			say(func() string { r.Kill(); return "" }),
			say(func() string { r.Start(); return "" }),
			say(func() string {
				out, err := r.Do("ACL", "USERS")
				if err != nil {
					return err.Error()
				}
				return out
			}),
		}
	}
	return nil
}
