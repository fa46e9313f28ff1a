package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	v1 "vaultpam/api/v1"
)

// healthz says that the process answers.
func (a *API) healthz(w http.ResponseWriter, r *http.Request) {
	callOf(r.Context()).route = "/healthz"
	writeJSON(w, http.StatusOK, v1.Health{Status: "ok"})
}

// readyz says whether everything that a session needs can be used. What is
// wrong is named, not described: the details are in the log.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	callOf(r.Context()).route = "/readyz"
	health, status := a.health(r.Context())
	writeJSON(w, status, health)
}

func (a *API) health(ctx context.Context) (v1.Health, int) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	health, status := v1.Health{Status: "ok", Checks: map[string]string{}}, http.StatusOK
	for name, err := range a.Ready(ctx) {
		health.Checks[name] = "ok"
		if err != nil {
			a.Log.Warn("not ready", "check", name, "error", err)
			health.Checks[name], health.Status, status = "unavailable", "unavailable", http.StatusServiceUnavailable
		}
	}
	return health, status
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		writeError(w, fromError(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
