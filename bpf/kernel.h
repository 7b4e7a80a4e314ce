/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few fields of kernel structures that are read; relocated at load. */
#ifndef FANLIGHT_KERNEL_H
#define FANLIGHT_KERNEL_H

#include <linux/types.h>

/* Offsets come from the running kernel, so padding here means nothing. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpadded"
#pragma clang attribute push(__attribute__((preserve_access_index)),           \
			     apply_to = record)

struct net {
	__u64 net_cookie;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct rtnl_link_ops {
	const char *kind;
};

struct net_device {
	unsigned int mtu;
	unsigned long state;
	unsigned char operstate; /* wider on newer kernels: read a byte */
	int ifindex;
	possible_net_t nd_net;
	const struct rtnl_link_ops *rtnl_link_ops;
};

struct skb_shared_info {
	unsigned short gso_size;
	unsigned short gso_segs;
};

struct sk_buff {
	struct net_device *dev;
	unsigned int len;
	int skb_iif;
	__be16 protocol;
	__be16 vlan_proto;
	__u16 vlan_tci;
	__u16 tc_index;
	__u8 vlan_present : 1; /* until 6.1; since then vlan_proto tells */
	__u16 transport_header;
	__u16 network_header;
	__u16 mac_header;
	unsigned char *head;
	unsigned char *data;
	unsigned int end;
};

#pragma clang attribute pop
#pragma clang diagnostic pop

/* Only names matter: values come from the running kernel's BTF. */
enum skb_drop_reason {
	SKB_DROP_REASON_NOT_SPECIFIED,
	SKB_DROP_REASON_CPU_BACKLOG,
	SKB_DROP_REASON_FULL_RING,
	SKB_DROP_REASON_QDISC_DROP,
};

#endif
