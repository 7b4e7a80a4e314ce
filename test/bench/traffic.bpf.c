//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Both ends of a measurement: a generator of frames and the sinks that count
 * what arrives.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Ethernet, IPv4 and UDP. */
#define HEADER_BYTES 42
#define MAX_SINKS 64

/* What a sink got; datagrams counts a super-packet as those that it holds. */
struct arrival {
	__u64 packets;
	__u64 datagrams;
	__u64 bytes; /* of frames on the wire, as if none had been merged */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct arrival);
	__uint(max_entries, MAX_SINKS);
} arrivals SEC(".maps");

/* Set before load: which sink this is. */
const volatile __u32 sink_index = 0;

/*
 * Hook: clsact ingress of a receiver. Ends the packet as consumed, not as a
 * drop: what watches drops must not slow the measurement down.
 */
SEC("tc")
int sink(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data,
	     *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	__u32 index = sink_index, segs = skb->gso_segs ?: 1;
	struct arrival *a;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    ip->protocol != IPPROTO_UDP)
		return -1; /* TC_ACT_UNSPEC */
	a = bpf_map_lookup_elem(&arrivals, &index);
	if (!a)
		return -1;
	a->packets++;
	a->datagrams += segs;
	a->bytes += skb->len + (segs - 1) * HEADER_BYTES;
	return 4; /* TC_ACT_STOLEN */
}

/* Frames between two looks at the clock. */
#define CLOCK_STEP 64

struct order {
	__u64 generated;
	__u64 first_ns; /* CLOCK_MONOTONIC, before the first frame */
	__u64 last_ns;	/* before the last frame whose number CLOCK_STEP divides
			 */
	__u32 ifindex;
	__u8 header[HEADER_BYTES];
	__u8 pad[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct order);
	__uint(max_entries, 1);
} orders SEC(".maps");

/*
 * Run by BPF_PROG_TEST_RUN with live frames. The kernel recycles its pages, and
 * who got one may have edited the headers, so they are written anew.
 */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data,
	     *end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	struct order *o = bpf_map_lookup_elem(&orders, &zero);

	if (!o || data + HEADER_BYTES > end)
		return XDP_ABORTED;
	__builtin_memcpy(data, o->header, HEADER_BYTES);
	if (o->generated % CLOCK_STEP == 0) {
		o->last_ns = bpf_ktime_get_ns();
		if (!o->generated)
			o->first_ns = o->last_ns;
	}
	o->generated++;
	return bpf_redirect(o->ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
