package main

import (
	"os"
	"runtime"
	"strings"
)

// Machine says where was measured.
type Machine struct {
	Processor string `json:"processor"`
	CPUs      int    `json:"cpus"`
	System    string `json:"system"`
	Virtual   bool   `json:"virtual"` // a guest of a hypervisor
	Load      string `json:"load"`    // before: the averages over 1, 5 and 15 minutes
}

// describe reads what Linux says of the machine.
func describe() Machine {
	m := Machine{Processor: runtime.GOARCH, CPUs: runtime.NumCPU(), System: runtime.GOOS}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			switch strings.TrimSpace(name) {
			case "model name":
				m.Processor = strings.TrimSpace(value)
			case "flags":
				m.Virtual = strings.Contains(value+" ", " hypervisor ")
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System = "Linux " + strings.TrimSpace(string(text))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	return m
}
