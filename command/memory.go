package command

import (
	"bytes"
	"os"
	"runtime/debug"
	"strconv"

	"weir/query"
)

// The collector shares its memory with the questions it answers, and must not
// be ended by the system for their sake.

// systemMemory returns the bytes of memory that this process may count on: the
// machine's, or less in a container. 0 if the system does not tell.
func systemMemory() uint64 {
	total := memTotal()
	text, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return total
	}
	limit, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || total != 0 && limit > total {
		return total // "max": no limit
	}
	return limit
}

// memTotal returns the machine's memory as /proc/meminfo has it: "MemTotal:",
// a number, "kB".
func memTotal() uint64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) < 2 || string(fields[0]) != "MemTotal:" {
			continue
		}
		kb, err := strconv.ParseUint(string(fields[1]), 10, 64)
		if err != nil {
			return 0
		}
		return kb << 10
	}
	return 0
}

// gcPercent is how much garbage there may be, as a percentage of what is in use.
// The store holds large arrays without pointers, which cost the garbage collector
// nothing to pass over: to collect three times as often as Go does by itself takes
// little time, and a third less memory.
const gcPercent = 33

// limitMemory has garbage collected before the process takes half of the
// memory, and more often than usual, unless GOMEMLIMIT and GOGC say otherwise.
func limitMemory(getenv func(string) string, memory uint64) {
	if memory > 0 && getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(memory / 2))
	}
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// sumMemory returns the bytes that the groups of one question may take: of all
// that are answered at once, a quarter of the memory.
func sumMemory(memory uint64) int64 {
	if memory == 0 {
		return 0
	}
	return int64(min(memory/4/maxSums, query.DefaultTopBytes))
}
