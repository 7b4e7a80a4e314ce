/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counting what happened, and telling about it within a budget. */
#ifndef FANLIGHT_COUNT_H
#define FANLIGHT_COUNT_H

#include "copying.h"

/* Budgets: the least time between two events of one subject. */
const volatile __u64 change_interval_ns = 100000000;	 /* fan-out changes */
const volatile __u64 periodic_interval_ns = 10000000000; /* running totals */
const volatile __u64 drop_interval_ns = 1000000000; /* drops, lost copies */

/* 0 only in the benchmark, to learn what counting costs; the verifier takes the
 * branches out. */
const volatile __u32 counting = 1;

/* What a new entry starts from; read-only memory, to spare the small stack. */
const struct tally empty_tally = {};

static __always_inline void add(__u64 *to, __u64 n)
{
	__sync_fetch_and_add(to, n);
}

static __always_inline void count_full(__u32 table)
{
	__u64 *n = bpf_map_lookup_elem(&table_full, &table);

	if (n)
		*n += 1;
}

/*
 * Reserves the next event of this CPU's ring and numbers it. A failed
 * reservation uses up a number, so that the reader sees the gap, and is
 * counted. The caller fills the rest and submits.
 */
static __always_inline struct event *reserve_event(__u8 kind)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	struct event_loss *loss;
	struct event *ev = 0;
	void *ring;
	__u64 seq;

	loss = bpf_map_lookup_elem(&event_loss, &zero);
	if (!loss || kind >= EVENT_KIND_COUNT)
		return 0;
	/* A process that resets a queue may be interrupted by a packet. */
	seq = __sync_fetch_and_add(&loss->seq, 1);
	__sync_fetch_and_add(&loss->produced[kind], 1);
	ring = bpf_map_lookup_elem(&events, &cpu);
	if (ring)
		ev = bpf_ringbuf_reserve(ring, sizeof(*ev), 0);
	if (!ev) {
		__sync_fetch_and_add(&loss->lost[kind], 1);
		return 0;
	}
	*ev = (struct event){
		.seq = seq,
		.cpu = cpu,
		.kind = kind,
		.version = LAYOUT_VERSION,
	};
	return ev;
}

/* The reader drains by time: a wake-up per event would cost more than a copy.
 */
static __always_inline void submit_event(struct event *ev)
{
	bpf_ringbuf_submit(ev, BPF_RB_NO_WAKEUP);
}

/* Says whether the subject's budget allows an event now; else holds it back. */
static __always_inline int within_budget(__u64 *event_ns, __u64 *suppressed,
					 __u64 now_ns, __u64 interval_ns)
{
	__u64 last = *event_ns;

	if (last && now_ns - last < interval_ns) {
		add(suppressed, 1);
		return 0;
	}
	/* Only one CPU wins a race for the slot. */
	if (!__sync_bool_compare_and_swap(event_ns, last, now_ns)) {
		add(suppressed, 1);
		return 0;
	}
	return 1;
}

static __always_inline void tell_tally(const struct copying *c, struct tally *t,
				       __u8 action, __u8 reason, __u32 ifindex)
{
	struct event *ev;
	__u64 held;

	if (!within_budget(&t->event_ns, &t->suppressed, c->now_ns,
			   drop_interval_ns))
		return;
	held = t->suppressed;
	ev = reserve_event(EVENT_DROP);
	if (!ev)
		return;
	ev->time_ns = c->now_ns;
	ev->packets = t->packets;
	ev->bytes = t->bytes;
	ev->suppressed = held;
	ev->source = c->source;
	ev->group = c->group;
	ev->domain = c->domain;
	ev->vlan = c->vlan;
	ev->ifindex = ifindex;
	ev->action = action;
	ev->reason = reason;
	add(&t->suppressed, -held);
	submit_event(ev);
}

/* Counts the current packet as dropped, by (domain, VLAN, group, reason). */
__noinline int count_drop(__u32 reason)
{
	struct copying *c = current_copying();
	struct drop_key key = { .reason = reason };
	struct tally *t;

	if (!c)
		return 0;
	key.group = c->group;
	key.domain = c->domain;
	key.vlan = c->vlan;
	t = bpf_map_lookup_elem(&drops, &key);
	if (!t) {
		bpf_map_update_elem(&drops, &key, &empty_tally, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&drops, &key);
	}
	if (!t) {
		/* Full: the sum stays exact under the domain's group "other".
		 */
		count_full(TABLE_DROPS);
		__builtin_memset(&key.group, 0, sizeof(key.group));
		key.vlan = 0;
		t = bpf_map_lookup_elem(&drops, &key);
		if (!t)
			return 0;
	}
	add(&t->packets, c->segs);
	add(&t->bytes, c->bytes);
	tell_tally(c, t, ACTION_PACKET, reason, c->ingress);
	return 0;
}

/* Counts datagrams of a copy under (domain, VLAN, group, port, reason). */
static __always_inline void count_lost_copy(const struct copying *c, __u32 port,
					    __u32 reason, __u32 lost)
{
	struct failure_key key = {
		.group = c->group,
		.domain = c->domain,
		.vlan = c->vlan,
		.ifindex = port,
		.reason = reason,
	};
	struct tally *t = bpf_map_lookup_elem(&copy_failures, &key);

	if (!t) {
		bpf_map_update_elem(&copy_failures, &key, &empty_tally,
				    BPF_NOEXIST);
		t = bpf_map_lookup_elem(&copy_failures, &key);
	}
	if (!t) {
		count_full(TABLE_COPY_FAILURES);
		__builtin_memset(&key.group, 0, sizeof(key.group));
		key.vlan = 0;
		key.ifindex = 0;
		t = bpf_map_lookup_elem(&copy_failures, &key);
		if (!t)
			return;
	}
	add(&t->packets, lost);
	add(&t->bytes, lost == c->segs ? c->bytes : c->bytes / c->segs * lost);
	tell_tally(c, t, ACTION_COPY, reason, port);
}

#endif
