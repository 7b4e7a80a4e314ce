//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Types only: this object is never loaded. It carries the shared types of
 * mcast_event.h to Go, once, so that the programs need not (-no-global-types).
 */
#include <linux/bpf.h>
#include "mcast_event.h"
#include <bpf/bpf_helpers.h>

struct wire {
	struct watched watched;
	struct addr addr;
	struct port port;
	struct domain domain;
	struct segment_key segment_key;
	struct segment segment;
	struct flow_key flow_key;
	struct group group;
	struct chunk chunk;
	struct allow_key allow_key;
	struct pair_key pair_key;
	struct pair pair;
	struct member_key member_key;
	struct member_part member_part;
	struct meta meta;
	struct pair_stats pair_stats;
	struct port_stats port_stats;
	struct stream stream;
	struct drop_key drop_key;
	struct failure_key failure_key;
	struct tally tally;
	struct event_loss event_loss;
	struct event event;
	struct control control;
	struct watch_key watch_key;
	enum verdict verdict;
	enum drop_reason drop_reason;
	enum copy_failure copy_failure;
	enum event_kind event_kind;
	enum event_action event_action;
	enum table table;
	enum unregistered unregistered;
	enum port_flags port_flags;
	enum segment_flags segment_flags;
	enum group_flags group_flags;
	enum direction direction;
	enum watch_outcome watch_outcome;
};

const struct wire unused_wire = {};
