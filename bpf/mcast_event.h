/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything that crosses between the kernel programs and Go: keys and values
 * of the shared maps, the records of the ring buffers, and their enums.
 *
 * wire.bpf.c instantiates these types, so that Go gets one copy of each.
 * Layouts are explicit: big fields first, named padding, sizes asserted.
 * Enums are append only. A change of any layout must raise LAYOUT_VERSION.
 */
#ifndef FANLIGHT_MCAST_EVENT_H
#define FANLIGHT_MCAST_EVENT_H

#include <linux/bpf.h>
#include <linux/types.h>

/* Version of all pinned layouts; an agent refuses pins of another version. */
#define LAYOUT_VERSION 2

/* Ports in one chunk of a port list, and counters in one chunk of stats. */
#define CHUNK_PORTS 16
/* Chunks that one list may chain: 64 * 16 = 1,024 ports per group. */
#define LIST_CHUNKS 64

/* An IPv6 address, or an IPv4 one in its ::ffff:0:0/96 form, in wire order. */
struct addr {
	__be32 word[4];
};

/* ---- enums: each value has a name in Go (names_test.go checks) ---- */

enum verdict {
	VERDICT_FORWARDED = 0, /* copied to at least one port */
	VERDICT_PASSED = 1,    /* left to the host's stack alone */
	VERDICT_DROPPED = 2,   /* ended here; the drops table says why */
	VERDICT_COUNT = 3,
};

enum drop_reason {
	DROP_NONE = 0,
	DROP_NOT_ALLOWED = 1,  /* group outside the domain's allow list */
	DROP_UNREGISTERED = 2, /* nobody joined, and policy says no flood */
	DROP_WRONG_SOURCE = 3, /* joined, but by nobody for this source */
	DROP_BAD_SOURCE = 4, /* source is multicast, broadcast or unspecified */
	DROP_SCOPE = 5,	     /* ff00::/16 or ff01::/16 never leave their node */
	DROP_TTL = 6,	     /* TTL or hop limit 0 */
	DROP_MALFORMED = 7,  /* the network header contradicts itself */
	DROP_BAD_CHECKSUM =
		8, /* IGMP, MLD or their IP header (RFC 4541 2.1.1) */
	DROP_CONTROL_FRAGMENT = 9, /* a fragment of an IGMP message */
	DROP_RATE_LIMITED =
		10, /* more membership messages than the port may send */
	DROP_COUNT = 11,
};

/* Why a wanted copy did not reach its port's peer. */
enum copy_failure {
	COPY_OK = 0,
	COPY_NO_DEVICE = 1, /* the port is gone */
	COPY_NO_MEMORY = 2, /* the clone could not be allocated */
	COPY_PORT_DOWN =
		3, /* the port has no working queue: down or no carrier */
	COPY_BACKLOG_FULL =
		4,	     /* per-CPU backlog: net.core.netdev_max_backlog */
	COPY_RING_FULL = 5,  /* the device's receive or transmit ring */
	COPY_QDISC_FULL = 6, /* the port's queueing discipline */
	COPY_TX_DROPPED = 7, /* the device refused it and gave no reason */
	COPY_TOO_BIG = 8,    /* frame exceeds the port's MTU */
	COPY_LOOP = 9,	     /* transmit recursion limit */
	COPY_OTHER = 10,
	COPY_FAILURE_COUNT = 11,
};

enum event_kind {
	EVENT_REPLICATION = 1,
	EVENT_DROP = 2,
	EVENT_KIND_COUNT = 3,
};

enum event_action {
	ACTION_FIRST = 1,    /* replication: first packet of the stream */
	ACTION_FANOUT = 2,   /* replication: the list of its ports changed */
	ACTION_PERIODIC = 3, /* replication: running totals */
	ACTION_SAMPLE =
		4, /* replication: one packet, by the group's sampling */
	ACTION_PACKET = 5, /* drop: a packet */
	ACTION_COPY = 6,   /* drop: a copy for one port */
	ACTION_COUNT = 7,
};

/* Tables whose overflow is counted in the map table_full. */
enum table {
	TABLE_STREAMS = 0,
	TABLE_DROPS = 1,
	TABLE_COPY_FAILURES = 2,
	TABLE_COUNT = 3,
};

/* ---- what Go writes ---- */

enum port_flags {
	PORT_HOST_TAGGED = 1 << 0, /* the host has VLAN devices on it */
	PORT_HOST_ROUTER = 1 << 1, /* the host routes multicast from it */
};

/* ports: key is the interface index. */
struct port {
	__u32 domain;
	__u32 index;	 /* into port_stats and port_rate */
	__u32 flags;	 /* enum port_flags */
	__u32 name_hash; /* tells a reused interface index from the old port */
};

enum unregistered {
	UNREGISTERED_FLOOD_WITHOUT_QUERIER = 0, /* RFC 4541 section 2.1.2 */
	UNREGISTERED_DROP = 1,
	UNREGISTERED_FLOOD = 2,
};

/* domains: key is the domain's number. */
struct domain {
	__u64 message_interval_ns; /* per port, 1 s / messages per second */
	__u64 message_burst_ns;	   /* how far a port may run ahead of it */
	__u32 unregistered;	   /* enum unregistered */
	__u32 flood;	    /* first chunk of the list of all ports, 0 = none */
	__u32 stream_limit; /* sources counted apart per group */
	__u32 pad;
	char name[64]; /* so that a new agent gives it the same number */
};

struct segment_key {
	__u32 domain;
	__u32 vlan; /* outer id << 16 | inner id */
};

enum segment_flags {
	SEGMENT_QUERIER_V4 = 1 << 0, /* IGMP querier known: filter */
	SEGMENT_QUERIER_V6 = 1 << 1, /* MLD querier known: filter */
};

/* segments: one VLAN of a domain. */
struct segment {
	__u32 flags;   /* enum segment_flags */
	__u32 routers; /* first chunk of the list of router ports, 0 = none */
};

/* groups and streams: source is zero for (*,G). */
struct flow_key {
	struct addr source;
	struct addr group;
	__u32 domain;
	__u32 vlan;
};

enum group_flags {
	GROUP_HAS_SOURCES = 1 << 0, /* look for (S,G) first */
};

/* groups: value. One update of it switches a group to another list at once. */
struct group {
	__u32 list;	  /* first chunk, 0 = nobody */
	__u32 generation; /* grows with every change of the group's lists */
	__u32 flags;	  /* enum group_flags */
	__u32 sample; /* an event for each sample-th packet, 0 = by budget */
};

/*
 * chunks: one piece of a port list. Position i of a chunk has its counters at
 * position i of the stats chunk, so a whole chunk of copies costs one lookup.
 * Index 0 is never used.
 */
struct chunk {
	__u32 next;		    /* chunk, 0 = end */
	__u32 stats;		    /* index into pair_stats */
	__u32 ifindex[CHUNK_PORTS]; /* 0 = hole */
};

/* allow: longest-prefix match; prefixlen counts the domain's 32 bits too. */
struct allow_key {
	__u32 prefixlen;
	__u32 domain;
	struct addr group;
};

/*
 * pairs: written and read by Go alone. Where the counters of a (group, port)
 * are, and what stood there before the pair got them. Group zero is the pair of
 * a domain's flood list.
 */
struct pair_key {
	struct addr group;
	__u32 domain;
	__u32 vlan;
	__u32 ifindex;
	__u32 pad;
};

struct pair {
	__u64 base_copies;
	__u64 base_bytes;
	__u32 slot; /* stats chunk * CHUNK_PORTS + position */
	__u32 pad;
};

/*
 * members: written and read by Go alone, so that a new agent knows who joined.
 * A member is part 0 and as many parts more as its source list needs.
 */
struct member_key {
	struct addr group;
	__u32 domain;
	__u32 vlan;
	__u32 ifindex;
	__u32 part;
};

struct member_part {
	__u8 data[64];
};

/* meta: one entry; what the pins next to it are. */
struct meta {
	__u64 netns_cookie;
	__u32 layout; /* LAYOUT_VERSION */
	__u32 instance;
};

/* ---- what the kernel counts ---- */

/* pair_stats: per CPU; one (group, port) pair for each position. */
struct pair_stats {
	__u64 copies[CHUNK_PORTS]; /* datagrams handed to the port */
	__u64 bytes[CHUNK_PORTS];
};

/* port_stats: per CPU; packets by verdict close with seen exactly. */
struct port_stats {
	__u64 seen;
	__u64 verdicts[VERDICT_COUNT];
	__u64 control;	    /* membership messages handed to the agent */
	__u64 control_lost; /* and those that its ring had no room for */
};

/* streams: shared between CPUs, updated atomically. */
struct stream {
	__u64 packets;
	__u64 bytes;
	__u64 copies;
	__u64 copy_bytes;
	__u64 failures;
	__u64 first_ns;
	__u64 last_ns;
	__u64 event_ns;	  /* when the last event was sent */
	__u64 changed_ns; /* first packet after the oldest change not yet told
			   */
	__u64 before_ns;  /* the packet before that one */
	__u64 route;	  /* what was decided: table revision << 32 | list */
	__u32 fanout;
	__u32 generation;  /* of the group, as of the last packet */
	__u32 told_fanout; /* as of the last event */
	__u32 told_generation;
	__u32 sources; /* of (*,G): how many (S,G) have a stream of their own */
	__u32 counted; /* of (S,G): it is one of those */
	__u32 sample;  /* of the group, as of the route */
	__u32 pad;
};

struct drop_key {
	struct addr group;
	__u32 domain;
	__u32 vlan;
	__u32 reason; /* enum drop_reason */
	__u32 pad;
};

struct failure_key {
	struct addr group;
	__u32 domain;
	__u32 vlan;
	__u32 ifindex;
	__u32 reason; /* enum copy_failure */
};

/* drops, copy_failures: value, updated atomically. */
struct tally {
	__u64 packets;
	__u64 bytes;
	__u64 event_ns;
	__u64 suppressed;
};

/* event_loss: per CPU; produced counts every attempt, lost the failed ones. */
struct event_loss {
	__u64 seq;
	__u64 produced[EVENT_KIND_COUNT];
	__u64 lost[EVENT_KIND_COUNT];
};

/* ---- records of the rings ---- */

/* events: one ring per CPU. Totals are those of the subject so far. */
struct event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 seq;     /* per ring */
	__u64 packets;
	__u64 bytes;
	__u64 copies;
	__u64 copy_bytes;
	__u64 failures;
	__u64 suppressed;
	__u64 before_ns; /* replication: time of the stream's packet before */
	struct addr source;
	struct addr group;
	__u32 domain;
	__u32 vlan;
	__u32 ifindex; /* ingress port; of a lost copy the port it was for */
	__u32 fanout;
	__u32 prev_fanout;
	__u32 generation;
	__u32 cpu;
	__u8 kind;    /* enum event_kind */
	__u8 action;  /* enum event_action */
	__u8 reason;  /* enum drop_reason or enum copy_failure */
	__u8 version; /* LAYOUT_VERSION */
};

/* control: a membership message; data follows, from the IP header on. */
struct control {
	__u64 time_ns; /* CLOCK_MONOTONIC, when the frame arrived */
	__u32 ifindex;
	__u32 vlan;
	__u32 len;	 /* bytes that follow */
	__u32 truncated; /* 1 if the packet was longer */
	__u8 src_mac[6];
	__u8 direction; /* enum direction, of what is observed */
	__u8 pad;
};

/* ---- what is observed without forwarding ---- */

enum direction {
	DIRECTION_IN = 0,  /* the interface received it */
	DIRECTION_OUT = 1, /* the host sends it by the interface */
	DIRECTION_COUNT = 2,
};

/* What happens beside counting a packet to its stream. */
enum watch_outcome {
	WATCH_MALFORMED = 0,	/* counted nowhere else */
	WATCH_TABLE_FULL = 1,	/* counted to the interface's entry for all */
	WATCH_RATE_LIMITED = 2, /* a membership message not handed over */
	WATCH_RING_FULL = 3,	/* the same, for want of room */
	WATCH_OUTCOME_COUNT = 4,
};

/* Gaps of up to 2^10 ns, 2^11 ns, ..., 2^32 ns, and longer ones. */
#define GAP_BUCKETS 24
/* Lengths of the windows whose fullest is kept: 1 ms and 100 ms. */
#define WATCH_WINDOWS 2

/*
 * watch_streams: one (S,G) on one interface. Without source and group it is the
 * interface's entry for all streams that have none of their own.
 */
struct watch_key {
	struct addr source;
	struct addr group;
	__u32 ifindex;
	__u32 vlan;
	__u32 direction; /* enum direction */
	__u32 pad;
};

/* A window begins with the first packet after the one before has ended. */
struct watch_window {
	__u64 start_ns;
	__u64 packets;
	__u64 bytes;
};

/* The most since Go began the epoch. */
struct watch_peaks {
	__u64 packets[WATCH_WINDOWS];
	__u64 bytes[WATCH_WINDOWS];
	__u64 gap_ns;
};

/* watch_streams: value, under its lock; times are CLOCK_MONOTONIC. */
struct watched {
	__u64 packets; /* datagrams */
	__u64 bytes;   /* of their frames, without FCS */
	__u64 first_ns;
	__u64 last_ns;
	__u64 gap_sum_ns;
	__u64 gaps[GAP_BUCKETS];
	__u64 ttl_changed_ns;
	__u64 dscp_changed_ns;
	__u64 message_due_ns; /* of the entry for all: when the next message is
			       */
	struct watch_window windows[WATCH_WINDOWS];
	struct watch_peaks now;
	struct watch_peaks before; /* of the epoch before */
	struct bpf_spin_lock lock;
	__u32 epoch;	    /* that the peaks of now belong to */
	__u32 before_epoch; /* and those of before */
	__u32 ttl_changes;
	__u32 dscp_changes;
	__u8 ttl; /* of the last packet */
	__u8 dscp;
	__u8 old_ttl; /* before the last change */
	__u8 old_dscp;
};

_Static_assert(sizeof(struct addr) == 16, "addr");
_Static_assert(sizeof(struct port) == 16, "port");
_Static_assert(sizeof(struct domain) == 96, "domain");
_Static_assert(sizeof(struct flow_key) == 40, "flow_key");
_Static_assert(sizeof(struct group) == 16, "group");
_Static_assert(sizeof(struct chunk) == 72, "chunk");
_Static_assert(sizeof(struct allow_key) == 24, "allow_key");
_Static_assert(sizeof(struct pair_key) == 32, "pair_key");
_Static_assert(sizeof(struct pair) == 24, "pair");
_Static_assert(sizeof(struct member_key) == 32, "member_key");
_Static_assert(sizeof(struct meta) == 16, "meta");
_Static_assert(sizeof(struct pair_stats) == 256, "pair_stats");
_Static_assert(sizeof(struct stream) == 120, "stream");
_Static_assert(sizeof(struct drop_key) == 32, "drop_key");
_Static_assert(sizeof(struct failure_key) == 32, "failure_key");
_Static_assert(sizeof(struct tally) == 32, "tally");
_Static_assert(sizeof(struct event) == 136, "event");
_Static_assert(sizeof(struct control) == 32, "control");
_Static_assert(sizeof(struct watch_key) == 48, "watch_key");
_Static_assert(sizeof(struct watched) == 408, "watched");

#endif
