//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"time"
)

var errLinux = errors.New("make bench needs Linux: it reads the kernel's clocks of processes and says which CPU they run on")

func pin(int) error { return errLinux }

func startOn(*exec.Cmd, []int) error { return errLinux }

func cpuTime(int) (time.Duration, error) { return 0, errLinux }

func peakMemory(int) (int, error) { return 0, errLinux }
