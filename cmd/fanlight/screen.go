package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// screen shows one text after the other: each in the place of the last one on a
// terminal, one below the other elsewhere.
type screen struct {
	w     io.Writer
	fd    int // of the terminal; -1: none
	lines int // that the last text took
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w, fd: -1}
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return s
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
		s.fd = int(f.Fd())
	}
	return s
}

// live reports whether texts replace each other.
func (s *screen) live() bool { return s.fd >= 0 }

// show writes the text, whose lines end in newlines.
func (s *screen) show(text []byte) error {
	if !s.live() {
		_, err := s.w.Write(append(text, '\n'))
		return err
	}
	columns, rows := 80, 24
	if size, err := unix.IoctlGetWinsize(s.fd, unix.TIOCGWINSZ); err == nil && size.Col > 0 && size.Row > 1 {
		columns, rows = int(size.Col), int(size.Row)
	}
	var out bytes.Buffer
	if s.lines > 0 {
		fmt.Fprintf(&out, "\x1b[%dF", s.lines)
	}
	out.WriteString("\x1b[J")
	s.lines = 0
	for line := range strings.Lines(string(text)) {
		if s.lines == rows-1 {
			break // a line that scrolled away could not be replaced
		}
		out.WriteString(cut(strings.TrimSuffix(line, "\n"), columns) + "\n")
		s.lines++
	}
	_, err := s.w.Write(out.Bytes())
	return err
}

// cut shortens a line to so many columns.
func cut(line string, columns int) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	return string([]rune(line)[:columns])
}
