/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps. Sizes marked "Go" are set before load from the configuration; all
 * of them are pinned, so that forwarding and counts outlive the agent.
 */
#ifndef FANLIGHT_MCAST_MAPS_H
#define FANLIGHT_MCAST_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "mcast_event.h"

/* ---- written by Go ---- */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32); /* interface index */
	__type(value, struct port);
	__uint(max_entries, 1024); /* Go */
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct domain);
	__uint(max_entries, 64); /* Go */
} domains SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct segment_key);
	__type(value, struct segment);
	__uint(max_entries, 256); /* Go */
	__uint(map_flags, BPF_F_NO_PREALLOC);
} segments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct flow_key);
	__type(value, struct group);
	__uint(max_entries, 8192); /* Go */
	__uint(map_flags, BPF_F_NO_PREALLOC);
} groups SEC(".maps");

/* Grows with every change of groups, after it; see route.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} revision SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct chunk);
	__uint(max_entries, 16384); /* Go */
} chunks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct allow_key);
	__type(value, __u32);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} allow SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct pair_key);
	__type(value, struct pair);
	__uint(max_entries, 65536); /* Go */
	__uint(map_flags, BPF_F_NO_PREALLOC);
} pairs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct member_key);
	__type(value, struct member_part);
	__uint(max_entries, 262144); /* Go */
	__uint(map_flags, BPF_F_NO_PREALLOC);
} members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct meta);
	__uint(max_entries, 1);
} meta SEC(".maps");

/* ---- counted by the kernel, read by Go ---- */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct pair_stats);
	__uint(max_entries, 8192); /* Go */
} pair_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct port_stats);
	__uint(max_entries, 1024); /* Go */
} port_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct flow_key);
	__type(value, struct stream);
	__uint(max_entries, 16384); /* Go */
	__uint(map_flags, BPF_F_NO_PREALLOC);
} streams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct drop_key);
	__type(value, struct tally);
	__uint(max_entries, 8192); /* Go */
	__uint(map_flags, BPF_F_NO_PREALLOC);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct failure_key);
	__type(value, struct tally);
	__uint(max_entries, 16384); /* Go */
	__uint(map_flags, BPF_F_NO_PREALLOC);
} copy_failures SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, TABLE_COUNT);
} table_full SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct event_loss);
	__uint(max_entries, 1);
} event_loss SEC(".maps");

/* ---- rings ---- */

struct event_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* Go */
};

/* One ring per CPU: producers never contend (key: CPU). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 1); /* Go: possible CPUs */
	__array(values, struct event_ring);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22); /* Go */
} control SEC(".maps");

#endif
