// Package script tries the shipped binary as its users and its enemies do.
//
// It owns the promises that only the whole product can keep: it builds
// vaultpam once, starts it on free ports of 127.0.0.1 with a data directory of
// its own, and talks to it with real clients. It must not know how the server
// is made inside, except where an attacker would: the database file and the
// recordings. Start at harness_test.go.
package script
