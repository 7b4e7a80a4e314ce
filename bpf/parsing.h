/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bounds-checked header parsing. Each helper advances the cursor and returns
 * what comes next, or a negative value if the headers are not all there.
 */
#ifndef FANLIGHT_PARSING_H
#define FANLIGHT_PARSING_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "mcast_event.h"

/* IPv6 extension headers that are followed; more is not sane traffic. */
#define MAX_EXTENSIONS 8
/* Headers that are made linear before parsing: Ethernet, two tags, IPv4 with
 * all options, UDP; or IPv6 with a few extension headers. */
#define HEADER_BYTES 160

#define IP_OFFSET_MASK 0x1fff
#define IP_MORE_FRAGMENTS 0x2000
#define ETH_P_8021AD_BE bpf_htons(ETH_P_8021AD)
#define ETH_P_8021Q_BE bpf_htons(ETH_P_8021Q)
#define VLAN_ID_MASK 0x0fff

/* A multicast IP packet, as far as forwarding cares. */
struct packet {
	struct addr source;
	struct addr group;
	__u32 vlan;
	__u32 l3;     /* offset of the IP header */
	__u32 l4;     /* offset of the transport header, if any is there */
	__u32 ip_len; /* bytes from the IP header on, without padding */
	__u32 ports;  /* UDP source and destination, 0 if they are not there */
	__u8 to_mac[ETH_ALEN];
	__u16 from_mac; /* its last two bytes */
	__u8 family;	/* 4 or 6 */
	__u8 protocol;	/* transport; 0 if IPv6 headers hide it */
	__u8 ttl;
	__u8 fragment; /* 0 none, 1 first, 2 later */
};

/* What parse_packet found. */
enum parse {
	PARSE_MULTICAST = 0,
	PARSE_OTHER = 1,     /* not multicast IP: none of our business */
	PARSE_MALFORMED = 2, /* multicast IP whose header is broken */
};

struct vlan_tag {
	__be16 tci;
	__be16 next;
};

static __always_inline int is_vlan(__be16 proto)
{
	return proto == ETH_P_8021Q_BE || proto == ETH_P_8021AD_BE;
}

/* Adds a VLAN id inside those that are there; priority tags (id 0) are none. */
static __always_inline __u32 push_vlan(__u32 vlan, __u16 tci)
{
	__u32 id = tci & VLAN_ID_MASK;

	return vlan ? vlan | id : id << 16;
}

static __always_inline void map_ipv4(struct addr *to, __be32 from)
{
	to->word[0] = 0;
	to->word[1] = 0;
	to->word[2] = bpf_htonl(0xffff);
	to->word[3] = from;
}

/* Reads the ports of a datagram that is whole or begins here. */
static __always_inline void read_ports(void *data, void *end, struct packet *p)
{
	__u32 *ports;

	if (p->protocol != IPPROTO_UDP || p->fragment || p->l4 > HEADER_BYTES)
		return;
	ports = data + p->l4;
	if ((void *)(ports + 1) <= end)
		p->ports = *ports;
}

static __always_inline int parse_ipv4(void *data, void *end, struct packet *p)
{
	struct iphdr *ip = data + p->l3;
	__u32 ihl, total;
	__u16 frag;

	if ((void *)(ip + 1) > end)
		return PARSE_OTHER; /* for whom, nobody can tell */
	if ((bpf_ntohl(ip->daddr) >> 28) != 0xe)
		return PARSE_OTHER;
	ihl = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	map_ipv4(&p->source, ip->saddr);
	map_ipv4(&p->group, ip->daddr);
	if (ip->version != 4 || ihl < sizeof(*ip) || total < ihl)
		return PARSE_MALFORMED;
	frag = bpf_ntohs(ip->frag_off);
	p->family = 4;
	p->ttl = ip->ttl;
	p->ip_len = total;
	p->l4 = p->l3 + ihl;
	p->protocol = ip->protocol;
	if (frag & IP_OFFSET_MASK)
		p->fragment = 2;
	else if (frag & IP_MORE_FRAGMENTS)
		p->fragment = 1;
	read_ports(data, end, p);
	return PARSE_MULTICAST;
}

/* The layouts share their first two bytes: next header, length. */
struct extension {
	__u8 next;
	__u8 len;
	__be16 offset_flags; /* fragment header only */
};

static __always_inline int is_extension(__u8 header)
{
	switch (header) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
		return 1;
	default:
		return 0;
	}
}

/* Where the transport is, what it is (0 = out of reach) and the fragment. */
static __always_inline __u32 pack_walk(__u32 off, __u8 next, __u8 fragment)
{
	return off | (__u32)next << 16 | (__u32)fragment << 24;
}

/*
 * Walks the extension headers from off on. Global, so that the verifier walks
 * the loop once and not once for each way to get here; hence the packed answer.
 */
__noinline __u32 skip_extensions(struct __sk_buff *skb, __u32 off, __u32 next)
{
	struct extension ext = {};
	__u32 fragment = 0;
	int i;

	for (i = 0; i < MAX_EXTENSIONS; i++) {
		if (!is_extension(next))
			return pack_walk(off, next, fragment);
		if (off > HEADER_BYTES ||
		    bpf_skb_load_bytes(skb, off, &ext, sizeof(ext)))
			break;
		if (next == IPPROTO_FRAGMENT) {
			fragment = ext.offset_flags & bpf_htons(0xfff8) ? 2 : 1;
			off += 8;
		} else if (next == IPPROTO_AH) {
			off += (ext.len + 2) * 4;
		} else {
			off += (ext.len + 1) * 8;
		}
		next = ext.next;
		if (fragment == 2)
			break;
	}
	/* The addresses are enough to forward. */
	return pack_walk(off, 0, fragment);
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, void *data,
				      void *end, struct packet *p)
{
	struct ipv6hdr *ip = data + p->l3;
	__u32 walk;

	if ((void *)(ip + 1) > end)
		return PARSE_OTHER; /* for whom, nobody can tell */
	if (ip->daddr.s6_addr[0] != 0xff)
		return PARSE_OTHER;
	__builtin_memcpy(&p->source, &ip->saddr, 16);
	__builtin_memcpy(&p->group, &ip->daddr, 16);
	if (ip->version != 6)
		return PARSE_MALFORMED;
	p->family = 6;
	p->ttl = ip->hop_limit;
	p->ip_len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	p->protocol = ip->nexthdr;
	p->l4 = p->l3 + sizeof(*ip);
	if (is_extension(p->protocol)) {
		walk = skip_extensions(skb, p->l4, p->protocol);
		p->l4 = walk & 0xffff;
		p->protocol = walk >> 16;
		p->fragment = walk >> 24;
		if (p->protocol == IPPROTO_UDP && !p->fragment)
			bpf_skb_load_bytes(skb, p->l4, &p->ports,
					   sizeof(p->ports));
		return PARSE_MULTICAST;
	}
	read_ports(data, end, p);
	return PARSE_MULTICAST;
}

/* Fills p from the IP header at p->l3. */
static __always_inline int parse_ip(struct __sk_buff *skb, void *data,
				    void *end, __be16 proto, struct packet *p)
{
	if (proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(data, end, p);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(skb, data, end, p);
	return PARSE_OTHER;
}

/*
 * Fills p from the frame, whose tags may be in the packet, in skb metadata
 * (stripped by hardware or by the stack) or both. Headers that are not linear
 * are not seen.
 */
static __always_inline int parse_frame(struct __sk_buff *skb, void *data,
				       void *end, struct packet *p)
{
	struct vlan_tag *tag;
	struct ethhdr *eth = data;
	__be16 proto;
	int i;

	if ((void *)(eth + 1) > end)
		return PARSE_OTHER;
	proto = eth->h_proto;
	__builtin_memcpy(p->to_mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(&p->from_mac, eth->h_source + 4, sizeof(p->from_mac));
	p->l3 = sizeof(*eth);
	if (skb->vlan_present)
		p->vlan = push_vlan(0, skb->vlan_tci);
	for (i = 0; i < 2 && is_vlan(proto); i++) {
		tag = data + p->l3;
		if ((void *)(tag + 1) > end || p->vlan & VLAN_ID_MASK)
			return PARSE_OTHER; /* a third tag is not ours */
		p->vlan = push_vlan(p->vlan, bpf_ntohs(tag->tci));
		proto = tag->next;
		p->l3 += sizeof(*tag);
	}
	return parse_ip(skb, data, end, proto, p);
}

/* Makes the headers linear. */
static __always_inline void pull_headers(struct __sk_buff *skb)
{
	bpf_skb_pull_data(skb,
			  skb->len < HEADER_BYTES ? skb->len : HEADER_BYTES);
}

/* Fills p from the frame, whose headers are made linear first if need be. */
static __always_inline int parse_packet(struct __sk_buff *skb, struct packet *p)
{
	void *data = (void *)(long)skb->data,
	     *end = (void *)(long)skb->data_end;

	if (data + HEADER_BYTES > end && skb->len > end - data) {
		pull_headers(skb);
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
	}
	return parse_frame(skb, data, end, p);
}

#endif
