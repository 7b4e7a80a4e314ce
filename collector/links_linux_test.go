package collector

import (
	"context"
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
)

// A list that interfaces come into, or leave, while it is made is made again: it
// is no reason to end.
func TestListsAreMadeUntilTheyAreWhole(t *testing.T) {
	other := errors.New("no permission")
	for name, c := range map[string]struct {
		answers []error // the last one again and again
		want    error
		calls   int
	}{
		"whole":                   {[]error{nil}, nil, 1},
		"interrupted twice":       {[]error{netlink.ErrDumpInterrupted, netlink.ErrDumpInterrupted, nil}, nil, 3},
		"always interrupted":      {[]error{netlink.ErrDumpInterrupted}, netlink.ErrDumpInterrupted, 20},
		"fails":                   {[]error{other}, other, 1},
		"interrupted, then fails": {[]error{netlink.ErrDumpInterrupted, other}, other, 2},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			_, err := listWhole(func() ([]int, error) {
				calls++
				return []int{calls}, c.answers[min(calls, len(c.answers))-1]
			})
			if !errors.Is(err, c.want) || calls != c.calls {
				t.Errorf("got %v after %d calls, want %v after %d", err, calls, c.want, c.calls)
			}
		})
	}
}

// Who waits for the first whole list hears of it, however many were in vain.
func TestTheWatcherIsReadyAfterAnOverrun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := &linkWatcher{}
	ready, follows := 0, 0
	follow := func(_ context.Context, subscribed func()) error {
		follows++
		switch follows {
		case 1:
			return errOverrun // before the list was whole
		case 2:
			subscribed()
			return errOverrun
		default:
			subscribed()
			cancel()
			return nil
		}
	}
	if err := w.watchBy(ctx, func() { ready++ }, follow); err != nil {
		t.Fatal(err)
	}
	if ready != 1 || follows != 3 {
		t.Errorf("ready %d times in %d follows, want once in 3", ready, follows)
	}
}
