package broker

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"vaultpam/pam/safe"
)

var weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// zones keeps loaded time zones: sessions are looked at several times a second.
var zones sync.Map // name -> *time.Location

func zone(name string) (*time.Location, error) {
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location), nil
	}
	z, err := time.LoadLocation(name)
	if err == nil {
		zones.Store(name, z)
	}
	return z, err
}

// within says whether now lies in the valid hours. None means always; hours
// that cannot be understood mean never.
func within(h *safe.ValidHours, now time.Time) bool {
	if h == nil {
		return true
	}
	z, err := zone(h.TimeZone)
	if err != nil {
		return false
	}
	local := now.In(z)
	minute := local.Hour()*60 + local.Minute()
	today, yesterday := weekdays[local.Weekday()], weekdays[(local.Weekday()+6)%7]
	return slices.ContainsFunc(h.Windows, func(w safe.Window) bool {
		from, ok1 := minuteOf(w.From)
		to, ok2 := minuteOf(w.To)
		switch {
		case !ok1 || !ok2:
			return false
		case from < to:
			return slices.Contains(w.Days, today) && from <= minute && minute < to
		}
		// The window runs into the next day.
		return slices.Contains(w.Days, today) && from <= minute || slices.Contains(w.Days, yesterday) && minute < to
	})
}

// minuteOf reads "15:04", up to "24:00", as minutes since midnight.
func minuteOf(s string) (int, bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil
}

// describe words valid hours for a refusal.
func describe(h *safe.ValidHours) string {
	var parts []string
	for _, w := range h.Windows {
		parts = append(parts, fmt.Sprintf("%s %s-%s", strings.Join(w.Days, " "), w.From, w.To))
	}
	return strings.Join(parts, ", ") + " (" + h.TimeZone + ")"
}
