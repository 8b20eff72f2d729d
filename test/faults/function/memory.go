package function

import (
	"bytes"
	"os"
	"strconv"
)

// Memory is what the processes hold, in bytes.
type Memory struct {
	Processes int
	Resident  int // of all of them now
	Peak      int // the most that one of them ever had
}

// Memory looks at the processes that run. Where the system has no /proc it is zero.
func (f *Function) Memory() Memory {
	f.mu.Lock()
	defer f.mu.Unlock()
	var m Memory
	for _, e := range f.all {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(e.process.Process.Pid) + "/status")
		if err != nil {
			continue // it has just ended
		}
		m.Processes++
		m.Resident += kilobytes(status, "VmRSS:") << 10
		m.Peak = max(m.Peak, kilobytes(status, "VmHWM:")<<10)
	}
	return m
}

// kilobytes reads a line of /proc/PID/status, as in "VmRSS:	   12345 kB".
func kilobytes(status []byte, name string) int {
	for line := range bytes.Lines(status) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == name {
			n, _ := strconv.Atoi(string(fields[1])) // the kernel writes numbers
			return n
		}
	}
	return 0
}
