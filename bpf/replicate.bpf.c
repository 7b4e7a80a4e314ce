//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * replicate: copies multicast packets from the port they came in on to the
 * ports of the domain that want them.
 *
 * Hook: tc ingress of each port (tcx, or clsact before 6.6).
 * Decides: (VLAN,S,G), then (VLAN,*,G), then what policy says of groups that
 * nobody joined. Every packet has one fate, counted in port_stats: forwarded,
 * passed (left to the host alone) or dropped (with a reason, in drops).
 * Oldest kernel: 5.15 (ring buffer 5.8, atomics 5.12).
 */
#include "copy.h"
#include "control.h"
#include "loop.h"
#include "route.h"
#include "segments.h"
#include "stream.h"
#include "parsing.h"

#define ACT_NEXT (-1) /* TC_ACT_UNSPEC, TCX_NEXT */
#define ACT_DROP 2    /* TC_ACT_SHOT, TCX_DROP */
#define ACT_STOLEN 4  /* clsact only: freed, and not as a drop */

/* How a packet ends that was copied and that nobody on this host wants. */
enum consume {
	CONSUME_STOLEN = 0, /* clsact: TC_ACT_STOLEN */
	CONSUME_MARKED =
		1,	  /* tcx: go on, the filter "consume" behind frees it */
	CONSUME_DROP = 2, /* tcx alone: other tools will call it a drop */
};

/* Set before load. */
const volatile __u32 consume = CONSUME_DROP;

#define CONSUME_MARK 0xfa9117e5

/* What to do with a packet. */
struct decision {
	__u32 list; /* first chunk, 0 = nobody */
	__u32 generation;
	__u32 sample;
	__u32 reason; /* enum drop_reason: why nobody */
};

/* A copy that comes in again on another port of ours is not copied again. */
static __always_inline __u16 loop_tag(const struct packet *p)
{
	return tag_of(p->from_mac);
}

/* RFC 1112 section 6.4, RFC 2464 section 7. */
static __always_inline void set_group_mac(struct __sk_buff *skb,
					  const struct packet *p)
{
	__u8 want[ETH_ALEN] = { 0x33, 0x33 };
	__be32 low = p->group.word[3];

	if (p->family == 4) {
		want[0] = 0x01;
		want[1] = 0x00;
		want[2] = 0x5e;
		want[3] = bpf_ntohl(low) >> 16 & 0x7f;
	} else {
		want[2] = bpf_ntohl(low) >> 24;
		want[3] = bpf_ntohl(low) >> 16;
	}
	want[4] = bpf_ntohl(low) >> 8;
	want[5] = bpf_ntohl(low);
	if (__builtin_memcmp(p->to_mac, want, ETH_ALEN))
		bpf_skb_store_bytes(skb, 0, want, ETH_ALEN, 0);
}

/* What makes a data packet unfit for anybody. */
static __always_inline __u32 find_fault(const struct packet *p)
{
	if (!p->ttl)
		return DROP_TTL;
	if (p->family == 4) {
		__u32 source = bpf_ntohl(p->source.word[3]);

		if (!source || source >> 28 == 0xe || source == 0xffffffff)
			return DROP_BAD_SOURCE;
		return DROP_NONE;
	}
	if ((bpf_ntohl(p->group.word[0]) & 0xf0000) <= 0x10000)
		return DROP_SCOPE;
	if (bpf_ntohl(p->source.word[0]) >> 24 == 0xff)
		return DROP_BAD_SOURCE;
	return DROP_NONE;
}

/* 224.0.0.0/24 and ff02::1 go to every port: RFC 4541 2.1.2 (2), section 3. */
static __always_inline int is_for_all(const struct packet *p)
{
	if (p->family == 4)
		return bpf_ntohl(p->group.word[3]) >> 8 == 0xe00000;
	return p->group.word[0] == bpf_htonl(0xff020000) && !p->group.word[1] &&
	       !p->group.word[2] && p->group.word[3] == bpf_htonl(1);
}

static __always_inline int is_allowed(const struct copying *c)
{
	struct allow_key key = {
		.prefixlen = 160,
		.domain = c->domain,
		.group = c->group,
	};

	return bpf_map_lookup_elem(&allow, &key) != 0;
}

static __always_inline struct segment *find_segment(const struct copying *c)
{
	struct segment_key key = { .domain = c->domain, .vlan = c->vlan };

	return bpf_map_lookup_elem(&segments, &key);
}

/* Nobody joined the group: RFC 4541 section 2.1.2 (3) and (4). */
static __always_inline void decide_unregistered(const struct copying *c,
						const struct packet *p,
						const struct domain *d,
						struct decision *to)
{
	__u32 querier =
		p->family == 4 ? SEGMENT_QUERIER_V4 : SEGMENT_QUERIER_V6;
	struct segment *s;

	if (!is_allowed(c)) {
		to->reason = DROP_NOT_ALLOWED;
		return;
	}
	s = find_segment(c);
	if (d->unregistered == UNREGISTERED_FLOOD ||
	    (d->unregistered == UNREGISTERED_FLOOD_WITHOUT_QUERIER &&
	     !(s && s->flags & querier))) {
		to->list = d->flood;
		return;
	}
	if (s)
		to->list = s->routers;
	to->reason = DROP_UNREGISTERED;
}

/* s is the packet's stream, or nothing if it has none yet. */
static __always_inline void decide(const struct copying *c,
				   const struct packet *p,
				   const struct domain *d, struct stream *s,
				   struct decision *to)
{
	struct flow_key key = {
		.group = c->group,
		.domain = c->domain,
		.vlan = c->vlan,
	};
	struct group *g, *sg;
	__u32 now = 0;

	if (is_for_all(p)) {
		to->list = d->flood;
		return;
	}
	if (s && recall_route(s, &to->list)) {
		to->generation = s->generation;
		to->sample = s->sample;
		return;
	}
	if (s)
		now = revision_before();
	g = bpf_map_lookup_elem(&groups, &key);
	if (!g) {
		decide_unregistered(c, p, d, to);
		return;
	}
	to->reason = DROP_UNREGISTERED; /* known, but nobody subscribed */
	if (g->flags & GROUP_HAS_SOURCES) {
		to->reason = DROP_WRONG_SOURCE;
		key.source = c->source;
		sg = bpf_map_lookup_elem(&groups, &key);
		if (sg)
			g = sg;
	}
	to->list = g->list;
	to->generation = g->generation;
	to->sample = g->sample;
	if (s && to->list)
		keep_route(s, now, to->list, to->sample);
}

/*
 * Whether anybody on this host could want the packet. Only what is surely
 * unwanted is consumed: a UDP datagram for whose port there is no socket.
 */
static __always_inline int host_wants(struct __sk_buff *skb,
				      const struct packet *p,
				      const struct port *port)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;

	if (!p->ports || port->flags & PORT_HOST_ROUTER ||
	    (p->vlan && port->flags & PORT_HOST_TAGGED))
		return 1;
	if (p->family == 4) {
		tuple.ipv4.saddr = p->source.word[3];
		tuple.ipv4.daddr = p->group.word[3];
		__builtin_memcpy(&tuple.ipv4.sport, &p->ports,
				 sizeof(p->ports));
		sk = bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv4),
				       BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &p->source, 16);
		__builtin_memcpy(tuple.ipv6.daddr, &p->group, 16);
		__builtin_memcpy(&tuple.ipv6.sport, &p->ports,
				 sizeof(p->ports));
		sk = bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv6),
				       BPF_F_CURRENT_NETNS, 0);
	}
	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 1;
}

/* Every packet leaves by one of these three, and so is counted once. */
static __always_inline int passed(struct port_stats *ps, __u32 segs)
{
	ps->verdicts[VERDICT_PASSED] += segs;
	return ACT_NEXT;
}

static __always_inline int dropped(struct port_stats *ps,
				   const struct copying *c, __u32 reason)
{
	ps->verdicts[VERDICT_DROPPED] += c->segs;
	count_drop(reason);
	return ACT_DROP;
}

static __always_inline int forwarded(struct __sk_buff *skb,
				     struct port_stats *ps, __u32 segs,
				     int wanted_here)
{
	if (counting)
		ps->verdicts[VERDICT_FORWARDED] += segs;
	if (wanted_here)
		return ACT_NEXT;
	switch (consume) {
	case CONSUME_STOLEN:
		return ACT_STOLEN;
	case CONSUME_MARKED:
		skb->cb[0] = CONSUME_MARK;
		return ACT_NEXT;
	default:
		return ACT_DROP;
	}
}

static __always_inline void copy_packet(struct __sk_buff *skb,
					const struct packet *p, __u16 tag,
					__u32 list)
{
	__u16 index = skb->tc_index;

	if (!list)
		return;
	set_group_mac(skb, p);
	skb->tc_index = tag;
	copy_to_list(skb, list);
	skb->tc_index = index;
}

static __always_inline int
handle_control(struct __sk_buff *skb, int kind, const struct packet *p,
	       const struct port *port, const struct domain *d,
	       struct port_stats *ps, struct copying *c, __u16 tag)
{
	struct segment *s;
	int whole;

	if (!within_rate(d, port->index, c->now_ns))
		return dropped(ps, c, DROP_RATE_LIMITED);
	whole = hand_over(skb, p->l3, p->l4, p->ip_len, p->protocol);
	if (p->fragment)
		return dropped(ps, c, DROP_CONTROL_FRAGMENT);
	if (!whole)
		return dropped(ps, c, DROP_BAD_CHECKSUM);
	if (kind == CONTROL_TO_ALL) {
		copy_packet(skb, p, tag, d->flood);
	} else {
		s = find_segment(c);
		if (s)
			copy_packet(skb, p, tag, s->routers);
	}
	return c->wanted ? forwarded(skb, ps, c->segs, 1) : passed(ps, c->segs);
}

static __always_inline int
handle_data(struct __sk_buff *skb, const struct packet *p,
	    const struct port *port, const struct domain *d,
	    struct port_stats *ps, struct copying *c, __u16 tag)
{
	struct decision to = {};
	__u32 fault = find_fault(p);
	struct stream *s;
	int wanted_here;

	if (fault)
		return dropped(ps, c, fault);
	s = find_stream(c);
	decide(c, p, d, s, &to);
	if (!to.list && to.reason &&
	    (to.reason == DROP_NOT_ALLOWED || !host_wants(skb, p, port)))
		return dropped(ps, c, to.reason);
	if (s)
		touch_stream(s, c, to.generation);
	copy_packet(skb, p, tag, to.list);
	count_stream(s, to.generation, to.sample, d->stream_limit);
	if (!c->wanted)
		return passed(ps, c->segs); /* host or own port alone */
	wanted_here = host_wants(skb, p, port);
	return forwarded(skb, ps, c->segs, wanted_here);
}

SEC("tc")
int replicate(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex, domain, index = 0;
	struct packet packet = {}, *p = &packet;
	struct port_stats *ps;
	struct port *port;
	struct domain *d;
	struct copying *c;
	__u32 segs = skb->gso_segs ?: 1, more;
	__u16 tag;
	int found, kind;

	skb->cb[0] = 0;
	port = bpf_map_lookup_elem(&ports, &ifindex);
	if (port)
		index = port->index; /* index 0 counts ports unknown to Go */
	ps = bpf_map_lookup_elem(&port_stats, &index);
	if (!ps)
		return ACT_NEXT;
	if (counting)
		ps->seen += segs;
	if (!port)
		return passed(ps, segs);
	found = parse_packet(skb, p);
	if (found == PARSE_OTHER)
		return passed(ps, segs);
	more = uncounted(skb, p);
	if (counting)
		ps->seen += more;
	segs += more;

	domain = port->domain;
	d = bpf_map_lookup_elem(&domains, &domain);
	c = current_copying();
	if (!d || !c)
		return passed(ps, segs);
	tag = loop_tag(p);
	if (skb->tc_index == tag)
		return passed(ps, segs);
	*c = (struct copying){
		.source = p->source,
		.group = p->group,
		.now_ns = counting ? bpf_ktime_get_ns() : 0,
		.bytes = frame_bytes(skb, p, segs),
		.domain = domain,
		.vlan = p->vlan,
		.segs = segs,
		.ingress = ifindex,
		.index = index,
	};
	if (found == PARSE_MALFORMED)
		return dropped(ps, c, DROP_MALFORMED);
	kind = classify_control(skb, p);
	if (kind != CONTROL_NONE)
		return handle_control(skb, kind, p, port, d, ps, c, tag);
	return handle_data(skb, p, port, d, ps, c, tag);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
