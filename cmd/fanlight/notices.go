package main

import (
	"strings"
	"sync"
)

// maxNotices is how many log lines a table has room for.
const maxNotices = 3

// notices keeps the last log lines, to be shown below a table: between two
// tables they would tear the screen. Its methods may be called concurrently.
type notices struct {
	mu    sync.Mutex
	lines []string
}

// Write takes one log line.
func (n *notices) Write(line []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, strings.TrimSuffix(string(line), "\n"))
	n.lines = n.lines[max(0, len(n.lines)-maxNotices):]
	return len(line), nil
}

// String returns the lines kept, each with its newline.
func (n *notices) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all strings.Builder
	for _, l := range n.lines {
		all.WriteString(l + "\n")
	}
	return all.String()
}
