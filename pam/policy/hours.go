package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a machine without its own table of time zones must not forget the rules

	"vaultpam/pam"
)

// Window is a span of the day, "15:04" to "15:04" (up to "24:00"), on some
// days of the week: mon tue wed thu fri sat sun. A window whose end is not
// after its beginning runs into the next day.
type Window struct {
	Days []string `json:"days"`
	From string   `json:"from"`
	To   string   `json:"to"`
}

// Hours are spans of the week by the clock on the wall of a time zone. An
// hour that is skipped in spring is in no window; one that is passed twice in
// autumn is in its window twice.
type Hours struct {
	TimeZone string   `json:"time_zone"` // an IANA name
	Windows  []Window `json:"windows"`
}

const (
	minutesPerDay  = 24 * 60
	minutesPerWeek = 7 * minutesPerDay
	maxWindows     = 64
	maxZoneName    = 64
)

var weekdays = map[string]time.Weekday{
	"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday,
	"thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday,
}

// Week is Hours made ready to be asked: one bit for each minute of a local
// week that begins on Sunday. The zero Week contains nothing.
type Week struct {
	zone *time.Location
	bits [(minutesPerWeek + 63) / 64]uint64
	text string // the hours in words
}

// Compile makes h ready; nil stays nil, which is any time.
func (h *Hours) Compile() (*Week, error) {
	if h == nil {
		return nil, nil
	}
	zone, err := findZone(h.TimeZone)
	if err != nil {
		return nil, err
	}
	w := &Week{zone: zone, text: h.String()}
	for _, win := range h.Windows {
		from, ok := minuteOf(win.From, false)
		to, ok2 := minuteOf(win.To, true)
		if !ok || !ok2 {
			return nil, errors.New("a window is not between two times of day")
		}
		if to <= from {
			to += minutesPerDay // into the next day
		}
		for _, name := range win.Days {
			day, known := weekdays[name]
			if !known {
				return nil, errors.New("a window is on an unknown day")
			}
			w.fill(int(day)*minutesPerDay+from, int(day)*minutesPerDay+to)
		}
	}
	return w, nil
}

// fill sets the minutes from from up to to, which may lie in the next week.
func (w *Week) fill(from, to int) {
	for m := from; m < to; m++ {
		at := m % minutesPerWeek
		if at%64 == 0 && to-m >= 64 && at+64 <= minutesPerWeek {
			w.bits[at/64] = ^uint64(0)
			m += 63
			continue
		}
		w.bits[at/64] |= 1 << (at % 64)
	}
}

// Contains says whether t is within the hours. A nil Week is any time.
func (w *Week) Contains(t time.Time) bool {
	if w == nil {
		return true
	}
	if w.zone == nil {
		return false
	}
	m := minuteOfWeek(t, w.zone)
	return w.bits[m/64]>>(m%64)&1 == 1
}

// minuteOfWeek is what the clock on the wall shows at t, in minutes since the
// beginning of Sunday.
func minuteOfWeek(t time.Time, zone *time.Location) int64 {
	_, offset := t.In(zone).Zone()
	const thursday = 4 * minutesPerDay // 1 January 1970
	seconds := t.Unix() + int64(offset)
	minutes := seconds / 60
	if seconds%60 < 0 {
		minutes--
	}
	m := (minutes + thursday) % minutesPerWeek
	if m < 0 {
		m += minutesPerWeek
	}
	return m
}

// covers says whether w contains every minute that o does, whatever the
// season: hours in another time zone are taken not to.
func (w *Week) covers(o *Week) bool {
	if w == nil {
		return true
	}
	if o == nil || w.zone == nil || o.zone == nil || w.zone.String() != o.zone.String() {
		return false
	}
	for i := range w.bits {
		if o.bits[i]&^w.bits[i] != 0 {
			return false
		}
	}
	return true
}

// Contains says whether t is within the hours. Nil means any time. Hours that
// cannot be read contain nothing. Whoever asks often compiles.
func (h *Hours) Contains(t time.Time) bool {
	if h == nil {
		return true
	}
	w, err := h.Compile()
	return err == nil && w.Contains(t)
}

// Widens says whether h allows a minute that old did not. Hours in another
// time zone are taken to do so: whether they do changes with the season. Both
// must be valid.
func (h *Hours) Widens(old *Hours) bool {
	if old == nil {
		return false
	}
	before, err := old.Compile()
	after, err2 := h.Compile()
	return err != nil || err2 != nil || !before.covers(after)
}

// String words the hours for people.
func (h *Hours) String() string {
	parts := make([]string, 0, len(h.Windows))
	for _, w := range h.Windows {
		parts = append(parts, fmt.Sprintf("%s %s-%s", strings.Join(w.Days, " "), w.From, w.To))
	}
	return strings.Join(parts, ", ") + " (" + h.TimeZone + ")"
}

// Check says what is not acceptable in h, under the name of its field.
func (h *Hours) Check(ps *pam.Problems, field string) {
	if h == nil {
		return
	}
	if !zoneName(h.TimeZone) {
		ps.Add(field+".time_zone", "must be an IANA name, such as Europe/Berlin")
	} else if _, err := findZone(h.TimeZone); err != nil {
		ps.Add(field+".time_zone", "is not a known IANA name")
	}
	if len(h.Windows) == 0 || len(h.Windows) > maxWindows {
		ps.Add(field+".windows", "must be 1 to 64 windows")
		return
	}
	for _, win := range h.Windows {
		win.check(ps, field+".windows")
	}
}

func (w Window) check(ps *pam.Problems, field string) {
	if len(w.Days) == 0 || len(w.Days) > 7 {
		ps.Add(field+".days", "must be 1 to 7 days")
	}
	if slices.ContainsFunc(w.Days, func(d string) bool { _, ok := weekdays[d]; return !ok }) {
		ps.Add(field+".days", "must be of mon, tue, wed, thu, fri, sat, sun")
	}
	from, ok := minuteOf(w.From, false)
	if !ok {
		ps.Add(field+".from", "must be a time of day, such as 08:00")
	}
	to, ok2 := minuteOf(w.To, true)
	if !ok2 {
		ps.Add(field+".to", "must be a time of day, such as 18:00")
	}
	if ok && ok2 && from == to {
		ps.Add(field+".to", "must differ from its beginning; a whole day is 00:00 to 24:00")
	}
}

// minuteOf reads "15:04" as minutes since midnight; "24:00" is the end of the
// day where until says so.
func minuteOf(s string, until bool) (int, bool) {
	if until && s == "24:00" {
		return minutesPerDay, true
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}

// zoneName says whether name looks like one of IANA's. It is looked up as the
// name of a file, so nothing that could lead elsewhere gets there; and the
// trees posix/ and right/, which some systems have beside the table, would
// give another time on another machine.
func zoneName(name string) bool {
	if name == "" || name == "Local" || len(name) > maxZoneName {
		return false
	}
	parts := strings.Split(name, "/")
	if len(parts) > 3 || parts[0] == "posix" || parts[0] == "right" {
		return false
	}
	for _, part := range parts {
		if part == "" || !letter(part[0]) {
			return false
		}
		for i := range len(part) {
			if c := part[i]; !letter(c) && (c < '0' || c > '9') && c != '_' && c != '-' && c != '+' {
				return false
			}
		}
	}
	return true
}

func letter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }

// findZone reads the table of time zones, the only thing that this package
// reads.
func findZone(name string) (*time.Location, error) {
	if !zoneName(name) {
		return nil, errors.New("not the name of a time zone")
	}
	return time.LoadLocation(name)
}
