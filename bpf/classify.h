/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which packets are IGMP, MLD or PIM, and whom they are for. */
#ifndef FANLIGHT_CLASSIFY_H
#define FANLIGHT_CLASSIFY_H

#include "parsing.h"

#define IPPROTO_IGMP_ 2
#define IPPROTO_PIM_ 103
#define IPPROTO_ICMPV6_ 58

enum control_kind {
	CONTROL_NONE = 0,
	CONTROL_TO_ROUTERS = 1, /* reports and leaves: RFC 4541 2.1.1 (1) */
	CONTROL_TO_ALL = 2,	/* queries, and what snooping does not know */
};

static __always_inline int classify_igmp(__u8 type)
{
	switch (type) {
	case 0x12: /* v1 report */
	case 0x16: /* v2 report */
	case 0x17: /* leave */
	case 0x22: /* v3 report */
		return CONTROL_TO_ROUTERS;
	default:
		return CONTROL_TO_ALL;
	}
}

static __always_inline int classify_icmpv6(__u8 type)
{
	switch (type) {
	case 131: /* v1 report */
	case 132: /* done */
	case 143: /* v2 report */
		return CONTROL_TO_ROUTERS;
	case 130: /* query */
	case 151: /* multicast router advertisement, RFC 4286 */
		return CONTROL_TO_ALL;
	default:
		return CONTROL_NONE;
	}
}

static __always_inline int classify_control(struct __sk_buff *skb,
					    const struct packet *p)
{
	__u8 type = 0;

	switch (p->protocol) {
	case IPPROTO_IGMP_:
		if (p->family != 4)
			return CONTROL_NONE;
		bpf_skb_load_bytes(skb, p->l4, &type, 1);
		return classify_igmp(type);
	case IPPROTO_ICMPV6_:
		if (p->family != 6 || p->fragment ||
		    bpf_skb_load_bytes(skb, p->l4, &type, 1))
			return CONTROL_NONE;
		return classify_icmpv6(type);
	case IPPROTO_PIM_:
		return p->fragment ? CONTROL_NONE : CONTROL_TO_ALL;
	default:
		return CONTROL_NONE;
	}
}

#endif
