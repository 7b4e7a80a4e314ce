//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The datapath with a clone that does nothing: what remains is what fanlight
 * itself costs per packet and per copy.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The packet is used in name, or the compiler stops handing it on. */
#define bpf_clone_redirect(skb, ifindex, flags)                                \
	({                                                                     \
		asm volatile("" : : "r"(skb));                                 \
		0;                                                             \
	})
#include "../../bpf/replicate.bpf.c"
