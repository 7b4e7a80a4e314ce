// Package doctor answers "why do I not receive this group?" on one host. It
// gathers what the kernel knows about the path of the group's packets, watches
// the wire for a few seconds, and says what is wrong, with the numbers that show
// it and the command that mends it.
//
// It only looks: it joins nothing, sends nothing and sets nothing. What it could
// not look at, for want of rights or of a facility, it names. Reports hold the
// host's own addresses in clear; they are for whoever may run commands there.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Errors that callers may match.
var (
	// ErrQuestion reports a question that can't be asked on this host: a group
	// that is none, an interface or a process that there is not.
	ErrQuestion = errors.New("can't ask that")
	// ErrNamespace reports a network namespace that can't be entered.
	ErrNamespace = errors.New("can't enter the network namespace")
)

// Question is what to look into.
type Question struct {
	// Group is the IPv4 or IPv6 group that does not arrive.
	Group netip.Addr
	// Source narrows it to one source; the zero value means any.
	Source netip.Addr
	// Interface should receive. Empty: where the group is joined, or where the
	// route to it goes.
	Interface string
	// Port is the UDP destination port; 0 means those that are seen.
	Port uint16
	// PID narrows it to the sockets of a process, and enters its network
	// namespace unless Netns is set; 0 means any process.
	PID int
	// Window is how long to watch the wire and the counters.
	Window time.Duration
	// QueryInterval is that of the segment's querier; 0 means the RFCs' 125 s. No
	// query in a shorter window says nothing.
	QueryInterval time.Duration
	// Netns is the name of a network namespace under /run/netns, or a path to
	// one. Empty: the caller's.
	Netns string
	// Agent, if set, asks a running agent about the group, before and after the
	// window.
	Agent func(context.Context) (AgentView, error)
}

// defaultQueryInterval is that of RFC 9776 section 8.2 and RFC 9777 section 9.2.
const defaultQueryInterval = 125 * time.Second

func (q Question) withDefaults() Question {
	if q.QueryInterval == 0 {
		q.QueryInterval = defaultQueryInterval
	}
	q.Group, q.Source = q.Group.WithZone(""), q.Source.WithZone("")
	return q
}

func (q Question) validate() error {
	switch {
	case !q.Group.IsMulticast() || q.Group.Is4In6():
		return fmt.Errorf("%w: %s is no group, such as 239.1.1.1 or ff15::1", ErrQuestion, q.Group)
	case !q.Source.IsValid():
		return nil
	case q.Source.Is4() != q.Group.Is4():
		return fmt.Errorf("%w: source %s and group %s are of different families", ErrQuestion, q.Source, q.Group)
	case q.Source.IsMulticast() || q.Source.IsUnspecified():
		return fmt.Errorf("%w: %s is no address of a source", ErrQuestion, q.Source)
	}
	return nil
}

// Examine gathers and diagnoses. It takes about as long as the window, less if
// ctx ends first; then the report is of what was seen until then. Returns
// ErrQuestion or ErrNamespace.
func Examine(ctx context.Context, q Question) (Report, error) {
	q = q.withDefaults()
	if err := q.validate(); err != nil {
		return Report{}, err
	}
	var s *Snapshot
	prefix := commandPrefix(q) // while the caller's namespace is the thread's
	err := inNamespace(q, func() (err error) {
		s, err = gather(ctx, q, prefix)
		return err
	})
	if err != nil {
		return Report{}, err
	}
	return Diagnose(s), nil
}
