// Package bench measures the shipped binary against references that run in
// the same minute on the same machine, and prints one table of ratios.
//
// It owns the figures and what they are held against; product behaviour is
// for test/script. It must not judge absolute times in the short form, which
// every run of the tests includes: machines are shared. With VAULTPAM_BENCH=1,
// or by make bench, it measures in full. Start at figure in table_test.go.
package bench
