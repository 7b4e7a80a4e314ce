package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"golang.org/x/sys/unix"
)

// peer is who is at the other end of a connection.
type peer struct {
	conn  *limitedConn
	local bool // at the unix socket
	root  bool // and the process there is root's
}

type peerKey struct{}

// withPeer is an [http.Server]'s ConnContext.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	limited, _ := c.(*limitedConn)
	return context.WithValue(ctx, peerKey{}, peerOf(limited))
}

func peerOf(c *limitedConn) peer {
	if c == nil {
		return peer{}
	}
	u, local := c.Conn.(*net.UnixConn)
	return peer{conn: c, local: local, root: local && uidOf(u) == 0}
}

// uidOf returns who connected, as the kernel knows, or -1.
func uidOf(c *net.UnixConn) int {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1
	}
	uid := -1
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	if err != nil {
		return -1
	}
	return uid
}

// requestPeer is who sent the request; nobody in particular, if that is not
// known.
func requestPeer(r *http.Request) peer {
	p, _ := r.Context().Value(peerKey{}).(peer)
	return p
}
