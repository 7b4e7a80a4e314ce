/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Copying a packet to each port of a list.
 *
 * Every copy is a clone, the last one too: only then does the program see what
 * became of it. A failed copy is counted and the next one goes on.
 */
#ifndef FANLIGHT_COPY_H
#define FANLIGHT_COPY_H

#include "count.h"

/* What dev_queue_xmit() answers if it does not fail (linux/netdevice.h). */
#define NET_XMIT_DROP 1
#define NET_XMIT_CN 2 /* a queue dropped something, not always this copy */

/* Set before load: the copy-loss tracer runs and tells which copy was freed. */
const volatile __u32 copy_loss_traced = 0;

static __always_inline __u32 failure_of(const struct copying *c, int ret)
{
	if (c->lost)
		return ret == -100 && c->why == COPY_TX_DROPPED ? COPY_LOOP
								: c->why;
	switch (ret) {
	case 0:
		return COPY_OK;
	case NET_XMIT_CN:
		return copy_loss_traced ? COPY_OK : COPY_QDISC_FULL;
	case NET_XMIT_DROP:
		return COPY_TX_DROPPED;
	case -22: /* EINVAL: no such device */
		return COPY_NO_DEVICE;
	case -12: /* ENOMEM */
		return COPY_NO_MEMORY;
	case -100: /* ENETDOWN: transmit recursion */
		return COPY_LOOP;
	default:
		return COPY_OTHER;
	}
}

/*
 * Counts a copy that may have failed: ret is the answer of the clone. Global,
 * so that the verifier walks it once and not once per copy.
 */
__noinline int copy_failed(__u32 port, int ret)
{
	struct copying *c = current_copying();
	__u32 reason, lost;

	if (!c)
		return 0;
	reason = failure_of(c, ret);
	if (reason == COPY_OK)
		return 0;
	/* A port may cut a super-packet up and lose a part of it. */
	lost = c->lost ?: c->segs;
	c->failed += lost;
	count_lost_copy(c, port, reason, lost);
	return 0;
}

/*
 * Copies the current packet to the ports of one chunk, but its own, and returns
 * the next chunk. Global, so that the verifier walks it once and not 64 times.
 */
__noinline __u32 copy_to_chunk(struct __sk_buff *skb, __u32 list)
{
	struct copying *c = current_copying();
	struct pair_stats *stats = 0;
	struct chunk *chunk;
	__u32 port;
	int i, ret;

	chunk = bpf_map_lookup_elem(&chunks, &list);
	if (!c || !chunk)
		return 0;
	if (counting) {
		stats = bpf_map_lookup_elem(&pair_stats, &chunk->stats);
		if (!stats)
			return 0;
	}
	for (i = 0; i < CHUNK_PORTS; i++) {
		port = chunk->ifindex[i];
		if (!port || port == c->ingress)
			continue;
		c->port = port;
		c->lost = 0;
		ret = bpf_clone_redirect(skb, port, 0);
		c->wanted++;
		if (counting) {
			stats->copies[i] += c->segs;
			stats->bytes[i] += c->bytes;
		}
		if (ret || c->lost)
			copy_failed(port, ret);
	}
	return chunk->next;
}

/* Copies the current packet to every port of the list but its own. */
__noinline int copy_to_list(struct __sk_buff *skb, __u32 list)
{
	struct copying *c = current_copying();
	int i;

	if (!c)
		return 0;
	for (i = 0; i < LIST_CHUNKS && list; i++)
		list = copy_to_chunk(skb, list);
	c->port = 0;
	return 0;
}

#endif
