package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

// tlsConfig returns nil for plain HTTP, which complete allows on loopback
// alone. With ACME it also returns what answers the authority's HTTP
// challenge on port 80 and sends everybody else to HTTPS.
func (s *Server) tlsConfig() (*tls.Config, func(context.Context) error, error) {
	switch {
	case s.cfg.TLSCert != "":
		files := &certFiles{cert: s.cfg.TLSCert, key: s.cfg.TLSKey}
		if _, err := files.get(nil); err != nil {
			return nil, nil, fmt.Errorf("--tls-cert: %w", err)
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: files.get, NextProtos: []string{"h2", "http/1.1"}}, nil, nil
	case len(s.cfg.ACMEDomains) > 0:
		m := &autocert.Manager{
			Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(s.cfg.ACMEDomains...), Email: s.cfg.ACMEEmail,
			Cache: autocert.DirCache(filepath.Join(s.cfg.DataDir, "acme")),
		}
		cfg := m.TLSConfig()
		cfg.MinVersion = tls.VersionTLS12
		return cfg, func(ctx context.Context) error {
			ln, err := net.Listen("tcp", ":80")
			if err != nil {
				return err
			}
			srv := &http.Server{Handler: m.HTTPHandler(nil), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
			return serveHTTP(ctx, srv, func() error { return srv.Serve(ln) }, time.Second)
		}, nil
	}
	return nil, nil, nil
}

// certFiles reads a certificate again when its file changes, so that a
// renewal needs no restart.
type certFiles struct {
	cert, key string

	mu      sync.Mutex // guards all below
	read    time.Time
	current *tls.Certificate
}

func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.cert)
	if err == nil && f.current != nil && info.ModTime().Equal(f.read) {
		return f.current, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(f.cert, f.key)
	}
	if err != nil {
		if f.current != nil { // half-written: the old one is still good
			return f.current, nil
		}
		return nil, errors.New("the certificate and its key cannot be read")
	}
	f.read, f.current = info.ModTime(), &pair
	return f.current, nil
}

// origins are those of the console's pages: of the public URL, or without one
// of the names that certificates are got for, and in dev mode of the listener.
func (s *Server) origins() []string {
	var out []string
	if u, err := url.Parse(strings.ToLower(s.cfg.PublicURL)); err == nil && u.Host != "" {
		if port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]; port != "" {
			u.Host = strings.TrimSuffix(u.Host, port) // a browser does not say the usual port (RFC 6454 section 6.1)
		}
		out = append(out, u.Scheme+"://"+u.Host)
	} else {
		for _, name := range s.cfg.ACMEDomains {
			out = append(out, "https://"+strings.ToLower(name))
		}
	}
	if a, ok := s.httpListener.Addr().(*net.TCPAddr); ok && s.cfg.Dev {
		out = append(out, fmt.Sprintf("http://127.0.0.1:%d", a.Port), fmt.Sprintf("http://localhost:%d", a.Port))
	}
	if len(out) == 0 {
		s.log.Warn("there is no public URL, so that no browser can open a terminal: give --public-url")
	}
	return out
}
