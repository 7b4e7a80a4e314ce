//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * copyloss: finds copies that were lost after their clone, and names why.
 *
 * Hook: tp_btf/kfree_skb. A copy that its port's queue, ring or backlog has no
 * room for is freed inside the very bpf_clone_redirect() that made it, on the
 * same CPU: then it only marks the copy, and replicate counts it. Copies freed
 * later (by a queueing discipline) are counted here.
 * Oldest kernel: 5.17 (the tracepoint's reason); optional: without it replicate
 * still counts what the clone's return value tells.
 */
#include "count.h"
#include "kernel.h"
#include "loop.h"
#include "parsing.h"
#include <bpf/bpf_core_read.h>

/* The namespace whose ports these are (SO_NETNS_COOKIE); set before load. */
const volatile __u64 netns_cookie = 0;

#define LINK_STATE_START (1UL << 0)
#define LINK_STATE_NOCARRIER (1UL << 2)
#define OPER_UNKNOWN 0
#define OPER_UP 6
/* What __is_skb_forwardable() allows beyond the MTU: Ethernet and a tag. */
#define FRAME_OVERHEAD 18

#define reason_is(reason, name)                                                \
	(bpf_core_enum_value_exists(enum skb_drop_reason, name) &&             \
	 (reason) == bpf_core_enum_value(enum skb_drop_reason, name))

/*
 * Whether the port can send at all. For a moment after the carrier returned its
 * queue still takes nothing; the operational state (RFC 2863) follows later.
 */
static __always_inline int is_down(struct net_device *dev)
{
	unsigned char oper = OPER_UP;

	if (!(dev->state & LINK_STATE_START) ||
	    dev->state & LINK_STATE_NOCARRIER)
		return 1;
	bpf_core_read(&oper, sizeof(oper), &dev->operstate);
	return oper != OPER_UP && oper != OPER_UNKNOWN;
}

static __always_inline int is_gso(struct sk_buff *skb)
{
	struct skb_shared_info *info = (void *)(skb->head + skb->end);
	__u16 size = 0;

	bpf_core_read(&size, sizeof(size), &info->gso_size);
	return size != 0;
}

/* Port is the one that the copy was for. */
static __always_inline __u32 why_lost(struct sk_buff *skb, __u32 reason,
				      __u32 port)
{
	struct net_device *dev = skb->dev;

	if (reason_is(reason, SKB_DROP_REASON_CPU_BACKLOG))
		return COPY_BACKLOG_FULL;
	if (reason_is(reason, SKB_DROP_REASON_FULL_RING))
		return COPY_RING_FULL;
	if (!dev)
		return COPY_TX_DROPPED;
	if (is_down(dev))
		return COPY_PORT_DOWN;
	if (reason_is(reason, SKB_DROP_REASON_QDISC_DROP))
		return COPY_QDISC_FULL;
	if (!is_gso(skb) && skb->len > dev->mtu + FRAME_OVERHEAD)
		return COPY_TOO_BIG;
	/* It had reached the far end of a veth: then its ring was full. */
	if ((__u32)dev->ifindex != port ||
	    dev->nd_net.net->net_cookie != netns_cookie)
		return COPY_RING_FULL;
	return COPY_TX_DROPPED;
}

static __always_inline int has_tag(struct sk_buff *skb)
{
	if (bpf_core_field_exists(skb->vlan_present))
		return BPF_CORE_READ_BITFIELD(skb, vlan_present);
	return skb->vlan_proto != 0;
}

/* What the frame is for: where it lies among tags, and the group. */
struct target {
	struct addr group;
	__u32 vlan;
};

static __always_inline int read_ipv4(const unsigned char *ip, struct addr *to)
{
	__be32 daddr;

	if (bpf_probe_read_kernel(&daddr, sizeof(daddr), ip + 16) ||
	    bpf_ntohl(daddr) >> 28 != 0xe)
		return 0;
	map_ipv4(to, daddr);
	return 1;
}

static __always_inline int read_ipv6(const unsigned char *ip, struct addr *to)
{
	if (bpf_probe_read_kernel(to, sizeof(*to), ip + 24))
		return 0;
	return bpf_ntohl(to->word[0]) >> 24 == 0xff;
}

/* Returns 0 if the frame is not multicast IP. */
static __always_inline int read_target(struct sk_buff *skb, struct target *to)
{
	unsigned char *at = skb->head + skb->network_header;
	__be16 proto = skb->protocol;
	struct vlan_tag tag;
	int i;

	to->vlan = has_tag(skb) ? push_vlan(0, skb->vlan_tci) : 0;
	for (i = 0; i < 2 && is_vlan(proto); i++) {
		if (bpf_probe_read_kernel(&tag, sizeof(tag), at))
			return 0;
		to->vlan = push_vlan(to->vlan, bpf_ntohs(tag.tci));
		proto = tag.next;
		at += sizeof(tag);
	}
	if (proto == bpf_htons(ETH_P_IP))
		return read_ipv4(at, &to->group);
	return proto == bpf_htons(ETH_P_IPV6) && read_ipv6(at, &to->group);
}

static __always_inline int same_group(const struct addr *a,
				      const struct addr *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] &&
	       a->word[2] == b->word[2] && a->word[3] == b->word[3];
}

static __always_inline __u32 datagrams(struct sk_buff *skb)
{
	struct skb_shared_info *info = (void *)(skb->head + skb->end);
	__u64 headers = (__u64)skb->head + skb->transport_header -
			(__u64)skb->data + sizeof(struct udphdr);
	__u16 segs = 0, size = 0;

	bpf_core_read(&segs, sizeof(segs), &info->gso_segs);
	bpf_core_read(&size, sizeof(size), &info->gso_size);
	if (segs || !size || skb->len <= headers)
		return segs ?: 1;
	/* Nobody has counted what came from a virtual machine. */
	return (skb->len - headers - 1) / size + 1;
}

/* The bytes of all its datagrams' frames; GSO repeats the headers for each. */
static __always_inline __u64 frame_bytes(struct sk_buff *skb, __u32 segs)
{
	__u32 tag = has_tag(skb) ? 4 : 0, again;

	again = skb->transport_header - skb->mac_header +
		sizeof(struct udphdr) + tag;
	return skb->len + tag + (segs - 1) * (__u64)again;
}

/* Whether replicate made the frame: nothing else that is lost here is ours. */
static __always_inline int is_copy(struct sk_buff *skb)
{
	unsigned char *eth = skb->head + skb->mac_header;
	__u16 mac;

	if (bpf_probe_read_kernel(&mac, sizeof(mac), eth + 2 * ETH_ALEN - 2))
		return 0;
	return skb->tc_index == tag_of(mac);
}

#define NETDEV_ALIGN 32

/* The other end of a veth pair: the first thing in its private part. */
static __always_inline struct net_device *peer_of(struct net_device *dev)
{
	__u64 size = bpf_core_type_size(struct net_device);
	const struct rtnl_link_ops *ops = dev->rtnl_link_ops;
	struct net_device *peer = 0;
	char kind[5] = {};

	if (!ops || bpf_probe_read_kernel(kind, sizeof(kind), ops->kind) ||
	    __builtin_memcmp(kind, "veth", sizeof(kind)))
		return 0;
	size = (size + NETDEV_ALIGN - 1) & ~(__u64)(NETDEV_ALIGN - 1);
	bpf_probe_read_kernel(&peer, sizeof(peer), (void *)dev + size);
	return peer;
}

/*
 * The port that a copy was for which is freed outside of its clone, 0 if it had
 * left the port. As long as it waits there it has the ingress port's index; on
 * its way through a veth it has none.
 */
static __always_inline __u32 port_of(struct sk_buff *skb, __u32 reason)
{
	struct net_device *dev = skb->dev;
	__u32 in = skb->skb_iif;
	__u64 cookie = 0;
	struct net *net;
	int out = 0;

	if (!dev)
		return 0;
	if (in) {
		out = dev->ifindex;
		return dev->nd_net.net->net_cookie == netns_cookie &&
				       (__u32)out != in
			       ? out
			       : 0;
	}
	if (!reason_is(reason, SKB_DROP_REASON_CPU_BACKLOG))
		return 0;
	dev = peer_of(dev);
	if (!dev)
		return 0;
	net = BPF_CORE_READ(dev, nd_net.net);
	bpf_core_read(&cookie, sizeof(cookie), &net->net_cookie);
	bpf_core_read(&out, sizeof(out), &dev->ifindex);
	return cookie == netns_cookie ? out : 0;
}

/* A copy that waited in a port's queue and was lost when it left that. */
static __always_inline void count_late(struct sk_buff *skb, __u32 reason,
				       const struct target *to)
{
	struct copying lost = {};
	struct port *port;
	__u32 out;

	if (!is_copy(skb))
		return;
	out = port_of(skb, reason);
	port = bpf_map_lookup_elem(&ports, &out);
	if (!port)
		return;
	lost.group = to->group;
	lost.now_ns = bpf_ktime_get_ns();
	lost.segs = datagrams(skb);
	lost.bytes = frame_bytes(skb, lost.segs);
	lost.domain = port->domain;
	lost.vlan = to->vlan;
	count_lost_copy(&lost, out, why_lost(skb, reason, out), lost.segs);
}

/* Whether the frame is the current copy, or a part of it that was cut off. */
static __always_inline int is_current(const struct copying *c,
				      const struct target *to, __u32 segs)
{
	return c->port && c->lost + segs <= c->segs && c->vlan == to->vlan &&
	       same_group(&to->group, &c->group);
}

/*
 * Whether the stack behind a device has got the frame: what becomes of it there
 * is not the port's loss. Until then the index is that of the port where the
 * packet came in, or 0 once the frame has crossed a veth.
 */
static __always_inline int has_arrived(struct sk_buff *skb)
{
	struct net_device *dev = skb->dev;

	return dev && skb->skb_iif == dev->ifindex;
}

SEC("tp_btf/kfree_skb")
int copyloss(__u64 *ctx)
{
	struct sk_buff *skb = (struct sk_buff *)ctx[0];
	__u32 reason = ctx[2], segs;
	struct copying *c = current_copying();
	struct target to;

	if (!c || has_arrived(skb) || !read_target(skb, &to))
		return 0;
	segs = datagrams(skb);
	if (is_current(c, &to, segs)) {
		c->why = why_lost(skb, reason, c->port);
		c->lost += segs;
		return 0;
	}
	count_late(skb, reason, &to);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
