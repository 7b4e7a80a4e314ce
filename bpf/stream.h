/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Streams: the exact totals of each (S,G), and the events that tell about it.
 *
 * A new source gets a stream of its own while its group has room and the table
 * too; else it is counted in the group's (*,G) stream, or in the domain's last
 * resort, both of which Go made beforehand. So the sums stay exact.
 */
#ifndef FANLIGHT_STREAM_H
#define FANLIGHT_STREAM_H

#include "count.h"

const struct stream empty_stream = {};

/* Finds or makes the stream of a source that has none yet. */
static __always_inline struct stream *new_stream(const struct copying *c,
						 __u32 limit)
{
	struct flow_key key = {
		.group = c->group,
		.domain = c->domain,
		.vlan = c->vlan,
	};
	struct stream *any = bpf_map_lookup_elem(&streams, &key), *s = 0;
	int made;

	if (!any || any->sources < limit) {
		key.source = c->source;
		made = !bpf_map_update_elem(&streams, &key, &empty_stream,
					    BPF_NOEXIST);
		s = bpf_map_lookup_elem(&streams, &key);
		/* Else another CPU was faster, and has counted it. */
		if (made && s && any) {
			__sync_fetch_and_add(&any->sources, 1);
			s->counted = 1;
		}
	}
	if (s)
		return s;
	count_full(TABLE_STREAMS);
	if (any)
		return any;
	key = (struct flow_key){ .domain = c->domain };
	return bpf_map_lookup_elem(&streams, &key);
}

static __always_inline void tell_stream(const struct copying *c,
					struct stream *s, __u8 action,
					__u64 time_ns)
{
	struct event *ev;

	s->event_ns = c->now_ns;
	ev = reserve_event(EVENT_REPLICATION);
	if (!ev)
		return;
	ev->time_ns = time_ns;
	ev->packets = s->packets;
	ev->bytes = s->bytes;
	ev->copies = s->copies;
	ev->copy_bytes = s->copy_bytes;
	ev->failures = s->failures;
	ev->before_ns = s->before_ns;
	ev->source = c->source;
	ev->group = c->group;
	ev->domain = c->domain;
	ev->vlan = c->vlan;
	ev->ifindex = c->ingress;
	ev->fanout = s->fanout;
	ev->prev_fanout = s->told_fanout;
	ev->generation = s->generation;
	ev->action = action;
	submit_event(ev);
	s->told_fanout = s->fanout;
	s->told_generation = s->generation;
}

/* Finds the stream of the packet's source; 0 if it has none of its own. */
static __always_inline struct stream *find_stream(const struct copying *c)
{
	struct flow_key key = {
		.source = c->source,
		.group = c->group,
		.domain = c->domain,
		.vlan = c->vlan,
	};

	return counting ? bpf_map_lookup_elem(&streams, &key) : 0;
}

/*
 * Notes that a packet came, and by which generation of lists it goes. Before
 * the copies are made, which take their time: a stream in use is not forgotten.
 */
static __always_inline void
touch_stream(struct stream *s, const struct copying *c, __u32 generation)
{
	if (s->generation != generation) {
		if (s->generation == s->told_generation) {
			s->changed_ns = c->now_ns;
			s->before_ns = s->last_ns;
		}
		s->generation = generation;
	}
	s->last_ns = c->now_ns;
}

/*
 * Adds the packet that was just copied to its stream, and tells if it is time.
 * s is what find_stream found, and was touched.
 */
static __noinline int count_stream(struct stream *s, __u32 generation,
				   __u32 sample, __u32 limit)
{
	struct copying *c = current_copying();
	__u64 segs, since;

	if (!c || !counting)
		return 0;
	if (!s) {
		s = new_stream(c, limit);
		if (!s)
			return 0;
		touch_stream(s, c, generation);
	}
	segs = c->segs;
	s->fanout = c->wanted;
	add(&s->packets, segs);
	add(&s->bytes, c->bytes);
	if (c->wanted) {
		add(&s->copies, segs * c->wanted);
		add(&s->copy_bytes, c->bytes * c->wanted);
	}
	if (c->failed)
		add(&s->failures, c->failed);

	if (!s->first_ns) {
		s->first_ns = c->now_ns;
		tell_stream(c, s, ACTION_FIRST, c->now_ns);
		return 0;
	}
	since = c->now_ns - s->event_ns;
	if (s->generation != s->told_generation && since >= change_interval_ns)
		tell_stream(c, s, ACTION_FANOUT, s->changed_ns);
	else if (since >= periodic_interval_ns)
		tell_stream(c, s, ACTION_PERIODIC, c->now_ns);
	else if (sample && s->packets % sample < segs)
		tell_stream(c, s, ACTION_SAMPLE, c->now_ns);
	return 0;
}

#endif
