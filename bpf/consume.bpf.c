//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * consume: frees the packets that replicate has copied.
 *
 * Hook: clsact ingress of each port, behind replicate at tcx. tcx can end a
 * packet only by dropping it, which every drop monitor would report as a loss;
 * TC_ACT_STOLEN frees it as consumed. If somebody removes this filter, copied
 * packets go up to the host's stack, which ignores what it did not join.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define CONSUME_MARK 0xfa9117e5

SEC("tc")
int consume_copied(struct __sk_buff *skb)
{
	return skb->cb[0] == CONSUME_MARK ? 4 /* STOLEN */ : -1 /* UNSPEC */;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
