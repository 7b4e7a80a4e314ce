//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * watch: counts multicast packets by (interface, direction, VLAN, S, G), and
 * hands IGMP, MLD and PIM messages to the agent. It changes nothing: every
 * packet goes on as if the program were not there.
 *
 * Hook: tc ingress and egress of each observed interface (tcx, or clsact before
 * 6.6). Devices without Ethernet headers have programs of their own.
 * Oldest kernel: 5.15 (ring buffer 5.8, lock in a map value 5.1).
 */
#include "classify.h"
#include "segments.h"

#define ACT_NEXT (-1) /* TC_ACT_UNSPEC, TCX_NEXT */
#define MESSAGE_BYTES 9216

/* Set before load: what one interface may hand over of membership messages. */
const volatile __u64 message_interval_ns = 1000000;
const volatile __u64 message_burst_ns = 1000000000;

/* Raised by Go for each reading: peaks are those of one epoch. */
volatile __u32 epoch = 1;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct watch_key);
	__type(value, struct watched);
	__uint(max_entries, 16384); /* Go */
	__uint(map_flags, BPF_F_NO_PREALLOC);
} watch_streams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, WATCH_OUTCOME_COUNT);
} watch_outcomes SEC(".maps");

struct watch_message {
	struct control header;
	__u8 data[MESSAGE_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct watch_message);
	__uint(max_entries, 1);
} watch_message SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} watch_control SEC(".maps");

/* What a new entry starts from. Bytes, since a lock can't be a constant. */
const __u8 empty_watched[sizeof(struct watched)] = {};

/* Lengths of the windows. */
static const __u64 window_ns[WATCH_WINDOWS] = { 1000000, 100000000 };

/* What is counted of one packet. */
struct sight {
	__u64 now_ns;
	__u64 bytes;
	__u32 segs;
	__u8 ttl;
	__u8 dscp;
	__u8 pad[2];
};

static __always_inline void count_outcome(__u32 outcome)
{
	__u64 *n = bpf_map_lookup_elem(&watch_outcomes, &outcome);

	if (n)
		*n += 1;
}

/* The first bucket whose bound the gap does not exceed. */
static __always_inline __u32 gap_bucket(__u64 gap_ns)
{
	__u64 n = gap_ns ? gap_ns - 1 : 0;
	__u32 log;

	if (n < 1 << 10)
		return 0;
	log = 63 - __builtin_clzll(n);
	return log < 9 + GAP_BUCKETS ? log - 9 : GAP_BUCKETS - 1;
}

/* The functions from here to count_packet run under the entry's lock. */

static __always_inline void begin_epoch(struct watched *w)
{
	__u32 now = epoch;

	if (w->epoch == now)
		return;
	w->before = w->now;
	w->before_epoch = w->epoch;
	w->now = (struct watch_peaks){};
	w->epoch = now;
}

static __always_inline void count_gap(struct watched *w, __u64 now_ns)
{
	/* Another CPU may have come later and been faster. */
	__u64 gap = now_ns > w->last_ns ? now_ns - w->last_ns : 0;
	__u32 bucket = gap_bucket(gap);

	barrier_var(bucket); /* what the compiler knows the verifier does not */
	if (bucket < GAP_BUCKETS)
		w->gaps[bucket]++;
	w->gap_sum_ns += gap;
	if (gap > w->now.gap_ns)
		w->now.gap_ns = gap;
}

static __always_inline void count_windows(struct watched *w,
					  const struct sight *s)
{
	struct watch_window *window;
	int i;

#pragma unroll
	for (i = 0; i < WATCH_WINDOWS; i++) {
		window = &w->windows[i];
		if ((__s64)(s->now_ns - window->start_ns) >=
		    (__s64)window_ns[i]) {
			window->start_ns = s->now_ns;
			window->packets = 0;
			window->bytes = 0;
		}
		window->packets += s->segs;
		window->bytes += s->bytes;
		if (window->packets > w->now.packets[i])
			w->now.packets[i] = window->packets;
		if (window->bytes > w->now.bytes[i])
			w->now.bytes[i] = window->bytes;
	}
}

static __always_inline void note_changes(struct watched *w,
					 const struct sight *s)
{
	if (w->ttl != s->ttl) {
		w->old_ttl = w->ttl;
		w->ttl_changes++;
		w->ttl_changed_ns = s->now_ns;
	}
	if (w->dscp != s->dscp) {
		w->old_dscp = w->dscp;
		w->dscp_changes++;
		w->dscp_changed_ns = s->now_ns;
	}
}

static __always_inline void count_packet(struct watched *w,
					 const struct sight *s)
{
	bpf_spin_lock(&w->lock);
	begin_epoch(w);
	if (w->packets) {
		count_gap(w, s->now_ns);
		note_changes(w, s);
	} else {
		w->first_ns = s->now_ns;
	}
	count_windows(w, s);
	w->packets += s->segs;
	w->bytes += s->bytes;
	if (s->now_ns > w->last_ns)
		w->last_ns = s->now_ns;
	w->ttl = s->ttl;
	w->dscp = s->dscp;
	bpf_spin_unlock(&w->lock);
}

static __always_inline struct watched *entry_for_all(__u32 ifindex,
						     __u32 direction)
{
	struct watch_key key = { .ifindex = ifindex, .direction = direction };

	return bpf_map_lookup_elem(&watch_streams, &key);
}

/* Finds or makes the stream's entry. */
static __always_inline struct watched *
find_watched(const struct packet *p, __u32 ifindex, __u32 direction)
{
	struct watch_key key = {
		.source = p->source,
		.group = p->group,
		.ifindex = ifindex,
		.vlan = p->vlan,
		.direction = direction,
	};
	struct watched *w = bpf_map_lookup_elem(&watch_streams, &key);

	if (w)
		return w;
	bpf_map_update_elem(&watch_streams, &key, empty_watched, BPF_NOEXIST);
	w = bpf_map_lookup_elem(&watch_streams, &key);
	if (w)
		return w;
	count_outcome(WATCH_TABLE_FULL);
	return entry_for_all(ifindex, direction);
}

/* Whether the interface may hand over a message now. */
static __always_inline int within_rate(struct watched *all, __u64 now_ns)
{
	__u64 due = all->message_due_ns;

	if (due > now_ns + message_burst_ns)
		return 0;
	all->message_due_ns =
		(due > now_ns ? due : now_ns) + message_interval_ns;
	return 1;
}

/* Hands a membership message to the agent, whole. */
static __noinline int hand_up(struct __sk_buff *skb, __u32 l3, __u32 ip_len,
			      __u32 vlan, __u32 direction)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	struct watch_message *m = bpf_map_lookup_elem(&watch_message, &zero);
	struct watched *all = entry_for_all(ifindex, direction);
	__u64 now_ns = bpf_ktime_get_ns();
	/* 64 bits wide: before 6.8 the verifier forgets bounds of less. */
	__u64 len = ip_len;

	if (!m || !all || skb->len <= l3)
		return 0;
	if (!within_rate(all, now_ns)) {
		count_outcome(WATCH_RATE_LIMITED);
		return 0;
	}
	if (len > skb->len - l3)
		len = skb->len - l3;
	m->header = (struct control){
		.time_ns = now_ns,
		.ifindex = ifindex,
		.vlan = vlan,
		.truncated = len < ip_len || len > MESSAGE_BYTES,
		.direction = direction,
	};
	if (len > MESSAGE_BYTES)
		len = MESSAGE_BYTES;
	m->header.len = len;
	if (l3)
		bpf_skb_load_bytes(skb, ETH_ALEN, m->header.src_mac, ETH_ALEN);
	barrier_var(len);
	if (len < sizeof(struct iphdr) || len > MESSAGE_BYTES)
		return 0;
	if (bpf_skb_load_bytes(skb, l3, m->data, len))
		return 0;
	if (bpf_ringbuf_output(&watch_control, m, sizeof(m->header) + len, 0))
		count_outcome(WATCH_RING_FULL);
	return 0;
}

/* Type of service or traffic class; 0 where the header was not seen. */
static __always_inline __u8 read_tos(const struct __sk_buff *skb, __u32 l3)
{
	__u8 *ip = (void *)(long)skb->data;

	if (l3 > HEADER_BYTES)
		return 0;
	ip += l3;
	if (ip + 2 > (__u8 *)(long)skb->data_end)
		return 0;
	return ip[0] >> 4 == 4 ? ip[1] : ip[0] << 4 | ip[1] >> 4;
}

static __always_inline int watch(struct __sk_buff *skb, const struct packet *p,
				 int found, __u32 direction)
{
	__u32 segs = skb->gso_segs ?: 1;
	struct watched *w;
	struct sight s;

	if (found == PARSE_OTHER)
		return ACT_NEXT;
	if (found == PARSE_MALFORMED) {
		count_outcome(WATCH_MALFORMED);
		return ACT_NEXT;
	}
	segs += uncounted(skb, p);
	s = (struct sight){
		.now_ns = bpf_ktime_get_ns(),
		.bytes = frame_bytes(skb, p, segs),
		.segs = segs,
		.ttl = p->ttl,
		.dscp = read_tos(skb, p->l3) >> 2,
	};
	w = find_watched(p, skb->ifindex, direction);
	if (w)
		count_packet(w, &s);
	if (classify_control(skb, p) != CONTROL_NONE)
		hand_up(skb, p->l3, p->ip_len, p->vlan, direction);
	return ACT_NEXT;
}

/*
 * Whether the packet, whose IP header is at l3, may be multicast. Most are not,
 * and end here. What is not linear is made so, which changes no byte.
 */
static __always_inline int may_be_multicast(struct __sk_buff *skb, __be16 proto,
					    __u32 l3)
{
	void *data = (void *)(long)skb->data,
	     *end = (void *)(long)skb->data_end;
	struct ipv6hdr *ip6;
	struct iphdr *ip;

	if (proto == bpf_htons(ETH_P_IP)) {
		ip = data + l3;
		if ((void *)(ip + 1) <= end)
			return (bpf_ntohl(ip->daddr) >> 28) == 0xe;
	} else if (proto == bpf_htons(ETH_P_IPV6)) {
		ip6 = data + l3;
		if ((void *)(ip6 + 1) <= end)
			return ip6->daddr.s6_addr[0] == 0xff;
	} else if (!is_vlan(proto)) {
		return 0;
	}
	if (skb->len > end - data)
		pull_headers(skb);
	return 1;
}

static __always_inline int watch_ethernet(struct __sk_buff *skb,
					  __u32 direction)
{
	struct packet packet = {}, *p = &packet;
	struct ethhdr *eth = (void *)(long)skb->data;
	int found;

	if ((void *)(eth + 1) > (void *)(long)skb->data_end ||
	    !may_be_multicast(skb, eth->h_proto, sizeof(*eth)))
		return ACT_NEXT;
	found = parse_frame(skb, (void *)(long)skb->data,
			    (void *)(long)skb->data_end, p);
	return watch(skb, p, found, direction);
}

static __always_inline int watch_ip(struct __sk_buff *skb, __u32 direction)
{
	struct packet packet = {}, *p = &packet;
	__be16 proto = skb->protocol;
	int found;

	if (!may_be_multicast(skb, proto, 0))
		return ACT_NEXT;
	found = parse_ip(skb, (void *)(long)skb->data,
			 (void *)(long)skb->data_end, proto, p);
	return watch(skb, p, found, direction);
}

SEC("tc")
int watch_in(struct __sk_buff *skb)
{
	return watch_ethernet(skb, DIRECTION_IN);
}

SEC("tc")
int watch_out(struct __sk_buff *skb)
{
	return watch_ethernet(skb, DIRECTION_OUT);
}

SEC("tc")
int watch_in_ip(struct __sk_buff *skb)
{
	return watch_ip(skb, DIRECTION_IN);
}

SEC("tc")
int watch_out_ip(struct __sk_buff *skb)
{
	return watch_ip(skb, DIRECTION_OUT);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
