package server

import (
	"log/slog"
	"net"
	"slices"
	"testing"
)

func TestOriginsAreThoseThatABrowserSays(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for name, c := range map[string]struct {
		cfg  Config
		want []string
	}{
		"none":         {Config{}, nil},
		"public":       {Config{PublicURL: "https://PAM.example.com/"}, []string{"https://pam.example.com"}},
		"usual port":   {Config{PublicURL: "https://pam.example.com:443"}, []string{"https://pam.example.com"}},
		"another port": {Config{PublicURL: "https://pam.example.com:8443/console"}, []string{"https://pam.example.com:8443"}},
		"not a URL":    {Config{PublicURL: "pam.example.com"}, nil},
		"by ACME":      {Config{ACMEDomains: []string{"Pam.example.com", "p.example.com"}}, []string{"https://pam.example.com", "https://p.example.com"}},
		"dev":          {Config{Dev: true}, []string{"http://127.0.0.1:" + port, "http://localhost:" + port}},
	} {
		s := &Server{cfg: c.cfg, log: slog.New(slog.DiscardHandler), httpListener: ln}
		if got := s.origins(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
