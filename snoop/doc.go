// Package snoop learns who wants which multicast group from the IGMP and MLD
// messages that pass, and asks for it when nobody else does: messages, the
// membership state machine of RFC 9776 and RFC 9777 per port and group, router
// ports, and the querier.
//
// A [Table] is one segment. It has no clock, no goroutine and no socket: the
// owner hands in packets and the time, and drains what came of it. It is not
// safe for concurrent use. Nothing that a host sends can make it panic, grow
// past its limits, or change what another port receives.
package snoop
