package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	v1 "vaultpam/api/v1"
)

// bareEnv makes this test binary the reference: a bare net/http server on the
// address that it holds.
const bareEnv = "VAULTPAM_BENCH_BARE"

// bareData is what the bare server reads from its standard input.
type bareData struct {
	Page []v1.Safe // what a list answers
	IDs  []string  // of the Safes that there are

	Log    string      // file of the audit lines
	Token  string      // whose bearer may reveal
	Answer v1.Checkout // what a reveal answers
}

// serveBare answers the same two reads as the product, from a map, without a
// login, a rule, a log or a database; and reveals a secret as the least server
// would that is safe after a crash. It serves until it is killed.
func serveBare(addr string) {
	var data bareData
	if err := json.NewDecoder(os.Stdin).Decode(&data); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	safes := make(map[string]v1.Safe, len(data.IDs))
	for i, id := range data.IDs {
		s := data.Page[i%len(data.Page)]
		s.ID = id
		safes[id] = s
	}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/safes", func(w http.ResponseWriter, _ *http.Request) { answer(w, data.Page) })
	mux.HandleFunc("GET /api/v1/safes/{id}", func(w http.ResponseWriter, r *http.Request) {
		s, ok := safes[r.PathValue("id")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		answer(w, s)
	})
	reveal, err := newBareReveal(data)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	mux.Handle("POST /api/v1/checkouts", reveal)
	fmt.Fprintln(os.Stderr, http.ListenAndServe(addr, mux))
	os.Exit(1)
}

func bareCommand(t testing.TB, data bareData) (*exec.Cmd, string) {
	t.Helper()
	addr := freeAddr(t)
	text, err := json.Marshal(data)
	must(t, err)
	program, err := os.Executable()
	must(t, err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), bareEnv+"="+addr)
	cmd.Stdin = strings.NewReader(string(text))
	return cmd, addr
}

// startBare starts the bare server in a process of its own.
func startBare(t testing.TB, data bareData) *process {
	t.Helper()
	cmd, addr := bareCommand(t, data)
	return start(t, cmd, addr, "/healthz")
}
