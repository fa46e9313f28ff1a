package script

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// Somebody has a user of a database for an hour. They leave a view and a function
// that act with the rights of whoever owns them, open to everybody, and wait for
// an administrator to inherit both.
func TestAttackWhatAUserLeavesBehindForAnAdministrator(t *testing.T) {
	t.Parallel()
	p := startServer(t, "--local-allow", "127.0.0.0/8,::1/128")
	owner := p.owner()
	l := postgresLeased(t)
	l.spec.CreateStatements = []string{
		"CREATE ROLE {{name}} LOGIN PASSWORD {{password}} VALID UNTIL {{expires_at}}",
		"GRANT CREATE ON SCHEMA public TO {{name}}",
	}
	l.place(owner)
	as := func(user, password, statement string) (string, string) {
		out, errs, _ := run(t, []string{"PGPASSWORD=" + password}, "", target.Need(t, "psql"), "-h", "127.0.0.1", "-p", strconv.Itoa(l.resource.Port), "-U", user, "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-Atc", statement)
		return strings.TrimSpace(out), errs
	}
	if _, errs := as("admin", "admin's", "CREATE ROLE thief LOGIN PASSWORD 'theirs'; CREATE TABLE public.kept (x int); GRANT ALL ON public.kept TO PUBLIC"); errs != "" {
		t.Fatal(errs)
	}
	c := l.out(owner)
	for _, statement := range []string{
		"CREATE VIEW public.passwords AS SELECT rolname, rolpassword FROM pg_authid",
		"GRANT SELECT ON public.passwords TO PUBLIC",
		"CREATE FUNCTION public.become() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user::text'",
		"CREATE TABLE public.mine (x int)",
		"INSERT INTO public.kept VALUES (7)",
	} {
		if _, errs := as(c.Username, c.Value, statement); errs != "" {
			t.Fatalf("%s: %s", statement, errs)
		}
	}
	if out, _ := as("thief", "theirs", "SELECT count(*) FROM public.passwords"); out != "" {
		t.Fatal("the view shows something before anybody has inherited it")
	}
	owner.call("POST", "/checkouts/"+c.ID+"/check-in", nil).want(http.StatusOK)
	eventually(t, time.Minute, "the lease is revoked", func() bool {
		return len(read[[]v1.Lease](owner.call("GET", "/leases?open=true", nil))) == 0
	})
	for _, statement := range []string{"SELECT rolpassword FROM public.passwords", "SELECT public.become()"} {
		if out, _ := as("thief", "theirs", statement); out != "" {
			t.Errorf("%s: %q", statement, out)
		}
	}
	if out, errs := as("admin", "admin's", "SELECT x FROM public.kept"); out != "7" {
		t.Errorf("what others own is gone as well: %q %s", out, errs)
	}
	if names := l.names(); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}
