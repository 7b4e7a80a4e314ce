/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packet that this CPU is copying right now. It outlives function calls
 * (the copy loop is a function of its own), and it is how the copy-loss tracer,
 * which runs inside the very clone that fails, knows whose copy it sees.
 */
#ifndef FANLIGHT_COPYING_H
#define FANLIGHT_COPYING_H

#include "mcast_maps.h"

struct copying {
	struct addr source;
	struct addr group;
	__u64 now_ns;
	__u64 bytes; /* of one copy: all its datagrams' frames */
	__u32 domain;
	__u32 vlan;
	__u32 segs;    /* datagrams that the packet holds */
	__u32 ingress; /* interface index */
	__u32 port;    /* being copied to, 0 outside of a copy */
	__u32 lost;    /* datagrams of it that the tracer saw freed as drops */
	__u32 why;     /* enum copy_failure, by the tracer */
	__u32 wanted;  /* copies, in packets */
	__u32 failed;  /* datagrams of them all */
	__u32 index;   /* of the ingress port, into port_stats */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct copying);
	__uint(max_entries, 1);
} copying SEC(".maps");

static __always_inline struct copying *current_copying(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&copying, &zero);
}

#endif
