package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a pseudo terminal of a size.
func openTerminal(t *testing.T, columns, rows uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// TestScreenOnTerminal: the second text takes the place of the first, and
// neither wraps or scrolls.
func TestScreenOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	master, slave := openTerminal(t, 5, 3)
	s := newScreen(slave)
	if !s.live() {
		t.Fatal("a terminal was not recognised")
	}
	for _, text := range []string{"äbcdefg\n1\n2\n3\n", "x\n"} {
		if err := s.show([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	// The terminal sends each end of line as two, and hands on each write when it
	// likes.
	want := strings.ReplaceAll("\x1b[Jäbcde\n1\n\x1b[2F\x1b[Jx\n", "\n", "\r\n")
	got := make([]byte, len(want))
	if _, err := io.ReadFull(master, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestScreenElsewhere(t *testing.T) {
	t.Setenv("TERM", "dumb")
	_, slave := openTerminal(t, 80, 24)
	if newScreen(slave).live() {
		t.Error("a dumb terminal can't replace text")
	}
	var out strings.Builder
	s := newScreen(&out)
	for range 2 {
		if err := s.show([]byte("line\n")); err != nil {
			t.Fatal(err)
		}
	}
	if want := "line\n\nline\n\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
