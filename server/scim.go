package server

import (
	"net/http"

	"vaultpam/edge/scim"
)

// withSCIM serves /scim/v2 beside what next serves.
func (s *Server) withSCIM(next http.Handler) http.Handler {
	h := scim.New(scim.Deps{
		Provisioning: s.provisioning, URL: s.url, Sealed: s.sealed,
		Proxies: s.cfg.proxies(), Limiter: s.limiter, HSTS: s.cfg.tls(), Clock: s.clock, IDs: s.ids, Log: s.log, Observe: s.metrics.observe,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if scim.Serves(r.URL.Path) {
			h.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
