package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// pin lets this process run on one CPU only.
func pin(cpu int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("pin to a CPU: %w", err)
	}
	var set unix.CPUSet
	set.Set(cpu)
	for _, thread := range threads { // those that come later inherit it
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return fmt.Errorf("pin to a CPU: %w", err)
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil {
			return fmt.Errorf("pin to a CPU: %w", err)
		}
	}
	return nil
}

// startOn starts a process on those CPUs.
func startOn(cmd *exec.Cmd, cpus []int) (err error) {
	runtime.LockOSThread() // a child has the CPUs of the thread that started it
	defer runtime.UnlockOSThread()
	var own, its unix.CPUSet
	if err := unix.SchedGetaffinity(0, &own); err != nil {
		return fmt.Errorf("start on CPUs %v: %w", cpus, err)
	}
	for _, cpu := range cpus {
		its.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &its); err != nil {
		return fmt.Errorf("start on CPUs %v: %w", cpus, err)
	}
	err = cmd.Start()
	if back := unix.SchedSetaffinity(0, &own); err == nil && back != nil {
		return fmt.Errorf("start on CPUs %v: %w", cpus, back)
	}
	return err
}

// cpuTime is what a process has used of all CPUs, to the nanosecond; /proc counts in
// hundredths of a second. The clock's id is that of clock_getcpuclockid(3).
func cpuTime(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &t); err != nil {
		return 0, fmt.Errorf("read the process's CPU time: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// peakMemory is the most that a process ever had in memory, in bytes.
func peakMemory(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the process's memory: %w", err)
	}
	for line := range bytes.Lines(status) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == "VmHWM:" {
			kilobytes, err := strconv.Atoi(string(fields[1]))
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("read the process's memory: no VmHWM in /proc/%d/status", pid)
}
