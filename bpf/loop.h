/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How our copies are told from everybody else's frames.
 *
 * tc_index travels with the frame through queues and veth pairs, and is used by
 * nothing else; the sender's MAC is mixed in, because a router that sends the
 * packet on puts its own there, and then it is a new frame.
 */
#ifndef FANLIGHT_LOOP_H
#define FANLIGHT_LOOP_H

#include <linux/types.h>

/* Set before load, the same for all programs of one datapath. */
const volatile __u32 instance = 1;

/* mac: the last two bytes of the sender's. */
static __always_inline __u16 tag_of(__u16 mac)
{
	mac ^= instance;
	return mac ?: 1; /* 0 is what every fresh frame has */
}

#endif
