package policy

import (
	"strings"
	"testing"
	"time"

	"vaultpam/pam"
)

func weekly(t testing.TB, zone, from, to string, days ...string) *Week {
	t.Helper()
	w, err := (&Hours{TimeZone: zone, Windows: []Window{{Days: days, From: from, To: to}}}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// inside counts the minutes from the first time up to the second that are in w.
func inside(t *testing.T, w *Week, from, until string) (minutes int) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, from)
	if err != nil {
		t.Fatal(err)
	}
	end, err := time.Parse(time.RFC3339, until)
	if err != nil {
		t.Fatal(err)
	}
	for ; at.Before(end); at = at.Add(time.Minute) {
		if w.Contains(at) {
			minutes++
		}
	}
	return minutes
}

// Berlin set its clocks from 02:00 to 03:00 on 29 March 2026, and from 03:00
// back to 02:00 on 25 October.
func TestWindowsSurviveTheSettingOfClocks(t *testing.T) {
	for name, c := range map[string]struct {
		w           *Week
		from, until string
		want        int
	}{
		"an hour that spring skips":         {weekly(t, "Europe/Berlin", "02:00", "03:00", "sun"), "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", 0},
		"an hour that autumn has twice":     {weekly(t, "Europe/Berlin", "02:00", "03:00", "sun"), "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z", 120},
		"a night that spring shortens":      {weekly(t, "Europe/Berlin", "22:00", "06:00", "sat"), "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", 7 * 60},
		"a night that autumn lengthens":     {weekly(t, "Europe/Berlin", "22:00", "06:00", "sat"), "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z", 9 * 60},
		"office hours of the day after":     {weekly(t, "Europe/Berlin", "08:00", "18:00", "mon"), "2026-03-30T00:00:00Z", "2026-03-31T00:00:00Z", 10 * 60},
		"begins in the gap":                 {weekly(t, "Europe/Berlin", "02:30", "04:00", "sun"), "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", 60},
		"half an hour, on Lord Howe Island": {weekly(t, "Australia/Lord_Howe", "01:30", "02:30", "sun"), "2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z", 90},
		"a whole week":                      {weekly(t, "Pacific/Chatham", "00:00", "24:00", "mon", "tue", "wed", "thu", "fri", "sat", "sun"), "2026-04-01T00:00:00Z", "2026-04-08T00:00:00Z", 7 * 24 * 60},
		"from Saturday into Sunday":         {weekly(t, "UTC", "23:59", "00:01", "sat"), "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z", 2},
	} {
		if got := inside(t, c.w, c.from, c.until); got != c.want {
			t.Errorf("%s: %d minutes, want %d", name, got, c.want)
		}
	}
	// The same hour of the wall is another instant after the setting.
	berlin := weekly(t, "Europe/Berlin", "08:00", "18:00", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
	for at, want := range map[string]bool{
		"2026-03-28T07:00:00Z": true, "2026-03-28T06:59:59Z": false, "2026-03-30T06:00:00Z": true, "2026-03-30T05:59:59Z": false,
		"2026-03-28T16:59:59Z": true, "2026-03-28T17:00:00Z": false, "2026-03-30T15:59:59Z": true, "2026-03-30T16:00:00Z": false,
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if berlin.Contains(when) != want {
			t.Errorf("08:00-18:00 in Berlin at %s: %v", at, !want)
		}
	}
}

func TestNoWeekIsAnyTimeAndAnEmptyOneIsNone(t *testing.T) {
	if !(*Week)(nil).Contains(monday) || (&Week{}).Contains(monday) {
		t.Error("nil is any time, the zero Week is no time")
	}
	if (*Hours)(nil).Contains(monday) != true || (&Hours{TimeZone: "Nowhere/Land"}).Contains(monday) {
		t.Error("hours that cannot be read contain nothing")
	}
}

func TestZoneNameLeadsToNoOtherFile(t *testing.T) {
	for _, name := range []string{
		"", "Local", "../../etc/passwd", "/etc/localtime", "Europe/../../../etc/passwd", "Europe//Berlin", "europe\\berlin", "Europe/Berlin/", "posix/Europe/Berlin",
		"right/Europe/Berlin", "zone.tab", "tzdata.zi", "./UTC", "C:\\zones", "UTC\x00", "UTC\n", "a/b/c/d", strings.Repeat("a", 65), "Europe/Bärlin", "~root", "-x", "Nowhere/Land", "leapseconds",
	} {
		var ps pam.Problems
		h := &Hours{TimeZone: name, Windows: []Window{{Days: []string{"mon"}, From: "00:00", To: "24:00"}}}
		h.Check(&ps, "time_window")
		if len(ps) != 1 || ps[0].Field != "time_window.time_zone" || name != "" && strings.Contains(ps[0].Problem, name) {
			t.Errorf("%q: %v", name, ps)
		}
		if w, err := h.Compile(); err == nil {
			t.Errorf("%q compiled to %v", name, w.zone)
		}
	}
	for _, name := range []string{"UTC", "Etc/GMT+12", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "EST5EDT"} {
		if _, err := findZone(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzHours: whatever is written, checking says so or compiling works, and the
// two readings of the clock agree.
func FuzzHours(f *testing.F) {
	f.Add("Europe/Berlin", "mon tue", "08:00", "18:00", int64(1774746000))
	f.Add("UTC", "sun", "22:00", "24:00", int64(-1))
	f.Add("../x", "", "24:00", "8:00", int64(0))
	f.Fuzz(func(t *testing.T, zone, days, from, to string, at int64) {
		h := &Hours{TimeZone: zone, Windows: []Window{{Days: strings.Fields(days), From: from, To: to}}}
		var ps pam.Problems
		h.Check(&ps, "f")
		w, err := h.Compile()
		if len(ps) > 0 {
			return
		}
		if err != nil {
			t.Fatalf("%+v was found right: %v", h, err)
		}
		when := time.Unix(at%(1<<37), 0)
		if got, want := w.Contains(when), slowlyIn(*h, when); got != want {
			t.Fatalf("%+v at %s: %v", h, when.UTC(), got)
		}
	})
}

// FuzzRange: what is read as a range has its own two ends in it and is read
// the same again.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "::/0", "::ffff:1.2.3.4/120", "1.2.3.4", "fe80::1%eth0", "10.0.0.1/8", "0.0.0.0/0", "/", "1.2.3.4/033"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseRange(s)
		if err != nil {
			return
		}
		again, err := ParseRange(p.String())
		if err != nil || again != p {
			t.Fatalf("%q is %s, which is %s: %v", s, p, again, err)
		}
		all, err := spans([]string{s})
		if err != nil || len(all) != 1 || !within(all, p.Addr()) || !within(all, last(p)) || !p.Contains(last(p)) || p.Contains(last(p).Next()) {
			t.Fatalf("%q: %v %v", s, all, err)
		}
	})
}
