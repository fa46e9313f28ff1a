package target

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// killTree kills a process and all its descendants. It stops them first, until
// no new one is found: what is stopped forks no more, and a parent that was
// killed would leave children behind that nobody can name.
func killTree(root int) {
	stopped := map[int]bool{}
	for grown := true; grown; {
		grown = false
		for _, pid := range tree(root) {
			if !stopped[pid] {
				_ = syscall.Kill(pid, syscall.SIGSTOP)
				stopped[pid], grown = true, true
			}
		}
	}
	for pid := range stopped {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// tree lists a process and its descendants.
func tree(root int) []int {
	children := map[int][]int{}
	for _, pid := range processes() {
		if parent, ok := parentOf(pid); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	found := []int{root}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// killUser kills what a user runs, twice round for what was being forked.
func killUser(uid int) {
	for range 2 {
		for _, pid := range processes() {
			info, err := os.Stat("/proc/" + strconv.Itoa(pid))
			if err != nil {
				continue
			}
			if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) == uid {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

func processes() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func parentOf(pid int) (int, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// pid (name) state parent ...: the name may hold anything, even ")".
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, err == nil
}
