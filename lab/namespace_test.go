package lab_test

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab/labtest"
)

func threadNamespace() (string, error) { return os.Readlink("/proc/thread-self/ns/net") }

// Do runs inside, whatever else goes on, and no other goroutine ever does.
func TestDo(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("a")...)
	outside, err := threadNamespace()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(n.Host("a").Namespace().Path(), &st); err != nil {
		t.Fatal(err)
	}
	ns := n.Host("a").Namespace()
	check := func() error {
		var inside unix.Stat_t
		if err := unix.Stat("/proc/thread-self/ns/net", &inside); err != nil {
			return err
		}
		if inside.Ino != st.Ino {
			return errors.New("not inside")
		}
		return nil
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				err := ns.Do(func() error { return errors.Join(check(), ns.Do(check)) })
				if err != nil {
					t.Error(err)
				}
				if got, err := threadNamespace(); got != outside || err != nil {
					t.Errorf("outside Do: in %s, %v; want %s", got, err, outside)
				}
			}
		})
	}
	wg.Wait()
	if main, err := os.Readlink("/proc/self/ns/net"); main != outside || err != nil {
		t.Errorf("namespace of the process = %s, %v; want %s", main, err, outside)
	}
}

// A panic and a Goexit in Do are the caller's, and later calls still work.
func TestDoUnwinds(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("a")...)
	ns := n.Host("a").Namespace()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("panic in Do was lost")
			}
		}()
		_ = ns.Do(func() error { panic("on purpose") })
	}()
	ended := make(chan bool, 1)
	go func() {
		returned := false
		defer func() { ended <- !returned }()
		_ = ns.Do(func() error { runtime.Goexit(); return nil })
		returned = true
	}()
	if !<-ended {
		t.Error("Goexit in Do let the caller go on")
	}
	want := errors.New("this one")
	if err := ns.Do(func() error { return want }); err != want {
		t.Errorf("Do after that = %v, want %v", err, want)
	}
}

func BenchmarkDo(b *testing.B) {
	n := labtest.New(b, labtest.Hosts("a")...)
	ns := n.Host("a").Namespace()
	for b.Loop() {
		if err := ns.Do(func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
