/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Super-packets: the datagrams that they hold, and what those weigh. */
#ifndef FANLIGHT_SEGMENTS_H
#define FANLIGHT_SEGMENTS_H

#include "parsing.h"

/*
 * How many datagrams a super-packet holds beyond the first if it does not say:
 * the kernel takes no virtual machine's word for their number.
 */
static __always_inline __u32 uncounted(const struct __sk_buff *skb,
				       const struct packet *p)
{
	__u32 headers = p->l4 + sizeof(struct udphdr), size = skb->gso_size;

	if (!size || skb->gso_segs || skb->len <= headers)
		return 0;
	return (skb->len - headers - 1) / size;
}

/* Frame bytes of all datagrams, as they would be one by one, without FCS. */
static __always_inline __u64 frame_bytes(const struct __sk_buff *skb,
					 const struct packet *p, __u32 segs)
{
	__u32 tag_bytes = skb->vlan_present ? 4 : 0;

	return skb->len + tag_bytes +
	       (segs - 1) * (p->l4 + sizeof(struct udphdr) + tag_bytes);
}

#endif
