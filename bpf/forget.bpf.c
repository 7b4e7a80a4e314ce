//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * forget: removes a stream that fell silent and adds its totals to those of its
 * group, or of the domain if the group is gone too, so that no sum goes back.
 *
 * Never attached: the agent runs it by BPF_PROG_TEST_RUN, because only a
 * program can add to counters that the datapath is updating. The packet is the
 * key. Returns 0 if the stream was removed, 1 if it is not there or is in use.
 */
#include "count.h"

/* What the packet holds; newer kernels look at where a frame has its type. */
struct forget_request {
	__u8 ethernet[16]; /* zeros */
	struct flow_key key;
	__u64 before_ns; /* streams that were used after this stay */
};

static __always_inline struct stream *find_heir(struct flow_key *key,
						__u32 counted)
{
	struct flow_key any = { .domain = key->domain };
	struct stream *heir;

	if (key->source.word[3] || key->source.word[0]) {
		any.group = key->group;
		any.vlan = key->vlan;
		heir = bpf_map_lookup_elem(&streams, &any);
		if (heir) {
			/* The heir may be younger than the stream. */
			if (counted && heir->sources)
				__sync_fetch_and_add(&heir->sources, -1);
			return heir;
		}
		__builtin_memset(&any.group, 0, sizeof(any.group));
		any.vlan = 0;
	}
	return bpf_map_lookup_elem(&streams, &any);
}

SEC("tc")
int forget(struct __sk_buff *skb)
{
	struct forget_request request;
	struct stream *s, *heir, gone;

	if (bpf_skb_load_bytes(skb, 0, &request, sizeof(request)))
		return 1;
	s = bpf_map_lookup_elem(&streams, &request.key);
	if (!s || s->last_ns > request.before_ns)
		return 1;
	heir = find_heir(&request.key, s->counted);
	if (!heir || heir == s)
		return 1;
	gone = *s;
	if (bpf_map_delete_elem(&streams, &request.key))
		return 1;
	add(&heir->packets, gone.packets);
	add(&heir->bytes, gone.bytes);
	add(&heir->copies, gone.copies);
	add(&heir->copy_bytes, gone.copy_bytes);
	add(&heir->failures, gone.failures);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
