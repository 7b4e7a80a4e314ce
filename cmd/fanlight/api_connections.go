package main

import (
	"container/list"
	"net"
	"sync"
)

// maxConnections bounds the connections of all clients together.
const maxConnections = 512

// connections bounds how many there are. When there are too many, those give
// way that have no request under way, the oldest first: whoever connects and
// says nothing keeps nobody out.
type connections struct {
	mu      sync.Mutex
	open    int
	local   int        // of open: at the unix socket
	waiting *list.List // of *limitedConn, oldest first
	refused func()     // is called for each that found no place
}

func newConnections(refused func()) *connections {
	return &connections{waiting: list.New(), refused: refused}
}

// limit returns a listener whose connections count.
func (c *connections) limit(l net.Listener) net.Listener { return &limitedListener{l, c} }

type limitedListener struct {
	net.Listener
	all *connections
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if limited := l.all.admit(conn); limited != nil {
			return limited, nil
		}
		l.all.refused()
		conn.Close()
	}
}

// limitedConn is one of the connections.
type limitedConn struct {
	net.Conn
	all   *connections
	place *list.Element // among those that wait; guarded by all.mu
	gone  bool          // guarded by all.mu
}

// admit returns the connection as one of them, or nil if there is no place.
func (c *connections) admit(conn net.Conn) *limitedConn {
	c.mu.Lock()
	var victim *limitedConn
	if c.open >= maxConnections {
		first := c.waiting.Front()
		if first == nil {
			c.mu.Unlock()
			return nil
		}
		victim = first.Value.(*limitedConn)
		c.remove(victim)
	}
	l := &limitedConn{Conn: conn, all: c}
	l.place = c.waiting.PushBack(l)
	c.open++
	if l.isLocal() {
		c.local++
	}
	c.mu.Unlock()
	if victim != nil {
		victim.Conn.Close()
	}
	return l
}

func (l *limitedConn) isLocal() bool {
	_, ok := l.Conn.(*net.UnixConn)
	return ok
}

// Close closes the connection and gives its place back.
func (l *limitedConn) Close() error {
	l.all.mu.Lock()
	l.all.remove(l)
	l.all.mu.Unlock()
	return l.Conn.Close()
}

// remove gives a place back, once. The caller holds c.mu.
func (c *connections) remove(l *limitedConn) {
	if l.gone {
		return
	}
	l.gone = true
	c.open--
	if l.isLocal() {
		c.local--
	}
	if l.place != nil {
		c.waiting.Remove(l.place)
		l.place = nil
	}
}

// busy keeps the connection from giving way until the function that it returns
// is called.
func (l *limitedConn) busy() (done func()) {
	if l == nil {
		return func() {}
	}
	c := l.all
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.place != nil {
		c.waiting.Remove(l.place)
		l.place = nil
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !l.gone && l.place == nil {
			l.place = c.waiting.PushBack(l)
		}
	}
}

// counts returns how many connections there are now.
func (c *connections) counts() (local, remote int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.local, c.open - c.local
}
