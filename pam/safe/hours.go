package safe

import (
	"time"
	_ "time/tzdata" // a machine without its own table of time zones must not forget the rules

	"vaultpam/pam"
)

var weekdays = map[string]time.Weekday{
	"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday,
	"thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday,
}

const (
	minutesPerDay = 24 * 60
	maxWindows    = 64
)

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

// week has one entry for each minute of a week that begins on Sunday.
type week [7 * minutesPerDay]bool

// week returns the minutes that v allows. v must be valid.
func (v *ValidHours) week() *week {
	var w week
	for _, win := range v.Windows {
		from, _ := minuteOf(win.From, false)
		to, _ := minuteOf(win.To, true)
		if to <= from {
			to += minutesPerDay // into the next day
		}
		for _, day := range win.Days {
			start := int(weekdays[day]) * minutesPerDay
			for m := from; m < to; m++ {
				w[(start+m)%len(w)] = true
			}
		}
	}
	return &w
}

// Contains says whether t is within the hours. Nil means any time. Hours that
// cannot be read contain nothing.
func (v *ValidHours) Contains(t time.Time) bool {
	if v == nil {
		return true
	}
	zone, err := time.LoadLocation(v.TimeZone)
	if err != nil {
		return false
	}
	t = t.In(zone)
	today, minute := t.Weekday(), t.Hour()*60+t.Minute()
	yesterday := (today + 6) % 7
	for _, win := range v.Windows {
		from, ok := minuteOf(win.From, false)
		to, ok2 := minuteOf(win.To, true)
		if !ok || !ok2 {
			continue
		}
		for _, day := range win.Days {
			d, known := weekdays[day]
			if !known {
				continue
			}
			if from < to && d == today && from <= minute && minute < to ||
				to <= from && (d == today && from <= minute || d == yesterday && minute < to) {
				return true
			}
		}
	}
	return false
}

// widens says whether v allows a minute that old did not. Hours in another
// time zone are taken to do so: whether they do changes with the season.
func (v *ValidHours) widens(old *ValidHours) bool {
	if old == nil {
		return false
	}
	if v == nil || v.TimeZone != old.TimeZone {
		return true
	}
	before, after := old.week(), v.week()
	for m := range after {
		if after[m] && !before[m] {
			return true
		}
	}
	return false
}

func (v *ValidHours) check(ps *pam.Problems) {
	if v == nil {
		return
	}
	if v.TimeZone == "" || v.TimeZone == "Local" || len(v.TimeZone) > 64 {
		ps.Add("valid_hours.time_zone", "must be an IANA name, such as Europe/Berlin")
	} else if _, err := time.LoadLocation(v.TimeZone); err != nil {
		ps.Add("valid_hours.time_zone", "is not a known IANA name")
	}
	if len(v.Windows) == 0 || len(v.Windows) > maxWindows {
		ps.Add("valid_hours.windows", "must be 1 to 64 windows")
		return
	}
	for _, win := range v.Windows {
		if len(win.Days) == 0 || len(win.Days) > 7 {
			ps.Add("valid_hours.windows.days", "must be 1 to 7 days")
		}
		for _, d := range win.Days {
			if _, ok := weekdays[d]; !ok {
				ps.Add("valid_hours.windows.days", "must be of mon, tue, wed, thu, fri, sat, sun")
				break
			}
		}
		from, ok := minuteOf(win.From, false)
		if !ok {
			ps.Add("valid_hours.windows.from", "must be a time of day, such as 08:00")
		}
		to, ok2 := minuteOf(win.To, true)
		if !ok2 {
			ps.Add("valid_hours.windows.to", "must be a time of day, such as 18:00")
		}
		if ok && ok2 && from == to {
			ps.Add("valid_hours.windows.to", "must differ from its beginning; a whole day is 00:00 to 24:00")
		}
	}
}
