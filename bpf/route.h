/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was decided for a stream, kept with its counters, which every packet
 * looks up anyway: so most packets need no look at the table of groups.
 *
 * Go raises the revision after each change of that table, and before it uses
 * the chunks of old lists again. A route of another revision is not taken. It
 * is one word, so that CPUs that decide at the same time never mix theirs.
 */
#ifndef FANLIGHT_ROUTE_H
#define FANLIGHT_ROUTE_H

#include "mcast_maps.h"

static __always_inline __u32 *table_revision(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&revision, &zero);
}

/* The revision before a look at the table of groups, which must come later. */
static __always_inline __u32 revision_before(void)
{
	__u32 *now = table_revision();

	return now ? __sync_fetch_and_add(now, 0) : 0; /* a full barrier */
}

/* Whether the stream's route holds; then list is where the packet goes. */
static __always_inline int recall_route(const struct stream *s, __u32 *list)
{
	__u32 *now = table_revision();
	__u64 route = *(const volatile __u64 *)&s->route;

	if (!now || !*now || route >> 32 != *(volatile __u32 *)now)
		return 0;
	*list = route;
	return 1;
}

static __always_inline void keep_route(struct stream *s, __u32 revision,
				       __u32 list, __u32 sample)
{
	s->sample = sample; /* may be one change late, if CPUs race for it */
	*(volatile __u64 *)&s->route = (__u64)revision << 32 | list;
}

#endif
