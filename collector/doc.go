// Package collector runs it all: it attaches the datapath to ports, learns who
// wants which group, writes the forwarding tables, and carries events and
// counters through redaction to the sinks.
//
// Delivery is at most once: an event that finds its sink's queue full is lost
// and counted. Counters are exact and never lost. Forwarding goes on when the
// agent stops, crashes or is replaced.
package collector
