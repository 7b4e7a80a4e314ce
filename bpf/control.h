/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IGMP, MLD and PIM: recognised, limited per port, checked, handed whole to
 * the agent, and forwarded as RFC 4541 asks. All of it works without the
 * agent, except learning.
 */
#ifndef FANLIGHT_CONTROL_H
#define FANLIGHT_CONTROL_H

#include "classify.h"
#include "copying.h"

/* The longest message kept: a jumbo frame. */
#define CONTROL_BYTES 9216
/* bpf_csum_diff() takes 512 bytes at most before 6.13. */
#define CSUM_STEP 512

/* Room to hold a message on its way to the ring. */
struct control_buffer {
	struct control header;
	__u8 data[CONTROL_BYTES + CSUM_STEP];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct control_buffer);
	__uint(max_entries, 1);
} control_buffer SEC(".maps");

/* port_rate: when the port's next message is due, by GCRA. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1024); /* Go: as port_stats */
} port_rate SEC(".maps");

/* Whether the port may send another message now. */
static __always_inline int within_rate(const struct domain *d, __u32 index,
				       __u64 now_ns)
{
	__u64 *due = bpf_map_lookup_elem(&port_rate, &index);

	if (!due || !d->message_interval_ns)
		return 1;
	if (*due > now_ns + d->message_burst_ns)
		return 0;
	*due = (*due > now_ns ? *due : now_ns) + d->message_interval_ns;
	return 1;
}

static __always_inline struct control_buffer *current_message(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control_buffer, &zero);
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/*
 * One's complement sum of the current message up to len, which zeros follow.
 * Like the other functions here it is global: the verifier walks it once.
 */
__noinline __u32 sum_message(__u32 len)
{
	struct control_buffer *buf = current_message();
	__u32 off, n;
	__s64 sum = 0;

	if (!buf)
		return 0;
	for (off = 0; off < CONTROL_BYTES && off < len; off += CSUM_STEP) {
		n = len - off;
		if (n > CSUM_STEP)
			n = CSUM_STEP;
		n = (n + 3) & 0x3fc;
		sum = bpf_csum_diff(0, 0, (__be32 *)(buf->data + off), n, sum);
	}
	return fold(sum);
}

/*
 * IPv4: header and message each sum to 0xffff, so both together do. IPv6: the
 * headers are taken out again and the pseudo header (RFC 8200 8.1) is added.
 */
__noinline int checksum_ok(__u32 header, __u32 len, __u32 protocol)
{
	struct control_buffer *buf = current_message();
	__s64 sum;

	if (!buf)
		return 1;
	header &= 0x1fc; /* headers are whole words */
	if (header >= len)
		return 0;
	sum = sum_message(len);
	if (protocol == IPPROTO_ICMPV6_) {
		__be32 pseudo[2] = { bpf_htonl(len - header),
				     bpf_htonl(IPPROTO_ICMPV6_) };

		sum = bpf_csum_diff((__be32 *)buf->data, header, 0, 0, sum);
		sum = bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), sum);
		sum = bpf_csum_diff(0, 0, (__be32 *)(buf->data + 8), 32, sum);
		return fold(sum) == 0xffff;
	}
	return fold(sum) == 0xffff &&
	       fold(bpf_csum_diff(0, 0, (__be32 *)buf->data, header, 0)) ==
		       0xffff;
}

/* Counts a message of the current port: handed over, or lost for want of room.
 */
static __always_inline void count_message(const struct copying *c, int lost)
{
	__u32 index = c->index;
	struct port_stats *ps = bpf_map_lookup_elem(&port_stats, &index);

	if (!ps)
		return;
	if (lost)
		ps->control_lost++;
	else
		ps->control++;
}

/*
 * Hands the current packet to the agent, whole, be its checksum right or not
 * (the agent counts what is wrong with it). Returns 0 if it is not right.
 */
__noinline int hand_over(struct __sk_buff *skb, __u32 l3, __u32 l4,
			 __u32 ip_len, __u32 protocol)
{
	struct control_buffer *buf = current_message();
	struct copying *c = current_copying();
	/* 64 bits wide: before 6.8 the verifier forgets bounds of less. */
	__u64 len = ip_len;

	if (!buf || !c || skb->len <= l3)
		return 0;
	if (len > skb->len - l3)
		len = skb->len - l3;
	buf->header = (struct control){
		.time_ns = c->now_ns,
		.ifindex = c->ingress,
		.vlan = c->vlan,
		.truncated = len < ip_len || len > CONTROL_BYTES,
	};
	if (len > CONTROL_BYTES)
		len = CONTROL_BYTES;
	buf->header.len = len;
	bpf_skb_load_bytes(skb, ETH_ALEN, buf->header.src_mac, ETH_ALEN);
	barrier_var(len);
	if (len < sizeof(struct iphdr) || len > CONTROL_BYTES)
		return 0;
	if (bpf_skb_load_bytes(skb, l3, buf->data, len))
		return 0;
	__builtin_memset(buf->data + len, 0, 4);
	count_message(c, bpf_ringbuf_output(&control, buf,
					    sizeof(buf->header) + len, 0) != 0);
	if (buf->header.truncated)
		return 0;
	/* PIM is flooded whatever it says. */
	return protocol == IPPROTO_PIM_ || checksum_ok(l4 - l3, len, protocol);
}

#endif
