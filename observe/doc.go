// Package observe sees multicast on interfaces without forwarding it: which
// groups arrive and leave, at what pace, who asks for them, and who of this host
// joined. It changes nothing: no packet, no table of the kernel.
//
// It interprets what package bpf counts, tells raw events to its owner, and
// shows series through package redact.
package observe
