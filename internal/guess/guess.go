// Package guess knows what people try first when they guess a password.
//
// It owns the list of what everybody tries, and an estimate of how many
// guesses the rest takes. It must not know whose password it is, or what for.
// Start at [Weakness].
package guess

import (
	_ "embed"
	"math"
	"strings"
	"unicode"
)

//go:embed common.txt
var commonList string

var common = func() map[string]bool {
	m := map[string]bool{}
	for line := range strings.Lines(commonList) {
		m[strings.TrimSpace(line)] = true
	}
	return m
}()

// Common says whether everybody tries this password.
func Common(password string) bool { return common[strings.ToLower(password)] }

// Reasons of Weakness.
const (
	IsCommon   = "common"   // everybody tries it
	IsUsername = "username" // it is, or holds, the name that it belongs to
	IsShort    = "short"    // fewer than 12 characters
	IsSimple   = "simple"   // fewer than 45 bits, by an estimate that is kind
)

const (
	short  = 12
	enough = 45 // bits: what a person cannot guess, and a stolen hash of a fast function would not last by
)

// Weakness says why a password of somebody called username is weak, "" if it
// is not: the first of the reasons that holds. What it calls strong may still
// be known to others.
func Weakness(password, username string) string {
	lower, name := strings.ToLower(password), strings.ToLower(username)
	switch {
	case Common(password):
		return IsCommon
	case len(name) > 2 && strings.Contains(lower, name):
		return IsUsername
	case len([]rune(password)) < short:
		return IsShort
	case bits(password) < enough:
		return IsSimple
	}
	return ""
}

// bits estimates how many guesses it takes by the kinds of characters and how
// many there are. What repeats or counts up from the character before it adds
// one bit: who guesses knows of such runs.
func bits(password string) float64 {
	pool := 0
	kinds := map[string]int{}
	for _, r := range password {
		switch {
		case r > unicode.MaxASCII:
			kinds["other"] = 100
		case unicode.IsLower(r):
			kinds["lower"] = 26
		case unicode.IsUpper(r):
			kinds["upper"] = 26
		case unicode.IsDigit(r):
			kinds["digit"] = 10
		default:
			kinds["sign"] = 33
		}
	}
	for _, n := range kinds {
		pool += n
	}
	out, last := 0.0, rune(-2)
	for _, r := range password {
		if d := r - last; d >= -1 && d <= 1 {
			out++
		} else {
			out += math.Log2(float64(pool))
		}
		last = r
	}
	return out
}
