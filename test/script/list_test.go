package script

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	v1 "vaultpam/api/v1"
)

// follow reads a list to its end along its links, two rows at a time.
func follow[T any](c *caller, path string) (out []T, pages int) {
	c.t.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for path += separator + "limit=2"; ; pages++ {
		a := c.call("GET", path, nil)
		out = append(out, read[[]T](a)...)
		link, _, more := strings.Cut(a.header.Get("Link"), ">")
		if !more {
			return out, pages + 1
		}
		path = strings.TrimPrefix(link, "</api/v1")
	}
}

func TestListsKeepTheirQuestionAlongTheirLinks(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	var first string
	for i, name := range []string{"Delta", "alpha", "Charlie", "bravo", "other"} {
		r := read[v1.Resource](owner.call("POST", "/resources", v1.ResourceIn{Name: "edge " + name, Type: []string{"ssh", "redis"}[i/4], Host: "h.example"}))
		if i == 0 {
			first = r.ID
		}
		owner.call("POST", "/accounts", v1.AccountIn{Name: "edge " + name, Username: "root", ResourceID: &r.ID}).want(http.StatusCreated)
		s := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{Name: "edge " + name}))
		if i == 1 {
			owner.call("POST", "/safes/"+s.ID+"/lock", nil).want(http.StatusOK)
		}
		owner.call("POST", "/org/members", v1.MemberIn{Email: "edge-" + name + "@example.com", Role: "auditor", Password: ownerPassword}).want(http.StatusCreated)
	}
	check := func(path, want string, got []string, pages int) {
		t.Helper()
		for i := range got {
			got[i] = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(got[i], "edge "), "edge-"), "@example.com"))
		}
		if strings.Join(got, " ") != want || pages != (len(got)+1)/2 && len(got) > 0 {
			t.Errorf("%s: %v in %d pages, want %s", path, got, pages, want)
		}
	}
	names := func(path, want string) {
		t.Helper()
		rows, pages := follow[struct{ Name, Email string }](owner, path)
		var got []string
		for _, r := range rows {
			if strings.HasPrefix(path, "/org") {
				r.Name = r.Email
			}
			got = append(got, r.Name)
		}
		check(path, want, got, pages)
	}
	for _, noun := range []string{"/safes", "/resources", "/accounts", "/org/members"} {
		names(noun+"?sort=name&q=EDGE", "alpha bravo charlie delta other")
		names(noun+"?sort=-name&q=edge", "other delta charlie bravo alpha")
		names(noun+"?sort=created_at&q=edge", "delta alpha charlie bravo other")
		names(noun+"?sort=-created_at&q=edge", "other bravo charlie alpha delta")
		names(noun+"?q="+url.QueryEscape("edge_"), "")
		names(noun+"?q=%25", "")
		for _, bad := range []string{"sort=size", "sort=name%20desc", "q=" + strings.Repeat("x", 300), "nothing=1"} {
			if a := owner.call("GET", noun+"?"+bad, nil); a.status != http.StatusUnprocessableEntity || a.code() != "VALIDATION_FAILED" {
				t.Errorf("%s?%s: %d %s", noun, bad, a.status, a.body)
			}
		}
		owner.call("GET", noun+"?q=%00%ff", nil).want(http.StatusOK)
	}
	names("/resources?q=edge&type=redis", "other")
	names("/accounts?resource_id="+first, "delta")
	names("/safes?q=edge&locked=true", "alpha")
	names("/safes?q=edge&locked=false", "bravo charlie delta other")
	names("/org/members?q=edge&role=auditor&status=active&sort=name", "alpha bravo charlie delta other")
	names("/org/members?q=edge&role=operator", "")

	events, _ := follow[v1.AuditEvent](owner, "/audit-events?q=edge%20charlie&type=SAFE_CREATED&source_ip=127.0.0.1")
	if len(events) != 1 || events[0].Target.Name != "edge Charlie" {
		t.Errorf("%d events found: %+v", len(events), events)
	}
	if events, _ := follow[v1.AuditEvent](owner, "/audit-events?source_ip=192.0.2.1"); len(events) != 0 {
		t.Errorf("%d events from elsewhere", len(events))
	}
	owner.call("GET", "/sessions?min_duration_ms=-1", nil).want(http.StatusUnprocessableEntity)
	owner.call("GET", "/sessions?min_duration_ms=1000&max_duration_ms=2000&status=ended", nil).want(http.StatusOK)
}

func TestAccountsCarryTheNameOfTheirResource(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	r := read[v1.Resource](owner.call("POST", "/resources", v1.ResourceIn{Name: "Web server", Type: "ssh", Host: "h.example"}))
	made := read[v1.Account](owner.call("POST", "/accounts", v1.AccountIn{Name: "root", Username: "root", ResourceID: &r.ID}))
	domain := read[v1.Account](owner.call("POST", "/accounts", v1.AccountIn{Name: "admin", Username: "admin"}))
	if made.ResourceName != "Web server" || domain.ResourceName != "" {
		t.Errorf("created: %q and %q", made.ResourceName, domain.ResourceName)
	}
	const want = "Web server"
	if got := read[v1.Account](owner.call("GET", "/accounts/"+made.ID, nil)).ResourceName; got != want {
		t.Errorf("one account: %q, want %q", got, want)
	}
	rows := read[[]v1.Account](owner.call("GET", "/accounts?resource_id="+r.ID, nil))
	if len(rows) != 1 || rows[0].ResourceName != want {
		t.Errorf("the list: %+v, want one of %q", rows, want)
	}
}
