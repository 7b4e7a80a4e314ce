package lab

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// A worker is an OS thread that lives in one namespace and runs functions
// there. The thread never returns to the Go runtime's pool: it dies with the
// worker, because a thread in a foreign namespace would spread it.
type worker struct {
	jobs chan job
}

type job struct {
	fn   func() error
	done chan result
}

type result struct {
	err      error
	panicked any  // what fn panicked with
	exited   bool // fn called runtime.Goexit, as t.FailNow does
}

// startWorker starts a worker whose thread has run enter, which is what brings
// it into the namespace. If enter fails, the thread is gone again.
func startWorker(enter func() error) (*worker, error) {
	w := &worker{jobs: make(chan job)}
	entered := make(chan error)
	onOwnThread(func() {
		err := enter()
		entered <- err
		if err == nil {
			w.run()
		}
	})
	if err := <-entered; err != nil {
		return nil, err
	}
	return w, nil
}

// onOwnThread runs fn on a thread that ends when fn returns. Never on the main
// thread: that one can't end, and /proc/PID/ns/net speaks of it.
func onOwnThread(fn func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			fn()
			return
		}
		// While this goroutine holds the main thread, the next gets another.
		started := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(started)
			fn()
		}()
		<-started
		runtime.UnlockOSThread()
	}()
}

func (w *worker) run() {
	for j := range w.jobs {
		runJob(j)
	}
}

func runJob(j job) {
	r := result{exited: true} // unless fn returns or panics
	defer func() {
		if v := recover(); v != nil {
			r = result{panicked: fmt.Sprintf("%v\n\n%s", v, debug.Stack())}
		}
		j.done <- r
	}()
	r = result{err: j.fn()}
}

// do runs fn and reports whether the worker can run another.
func (w *worker) do(fn func() error) (r result, usable bool) {
	j := job{fn: fn, done: make(chan result, 1)}
	w.jobs <- j
	r = <-j.done
	return r, !r.exited
}

func (w *worker) stop() { close(w.jobs) }
