package bpf

//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types -type addr -type port -type domain -type segment_key -type segment -type flow_key -type group -type chunk -type allow_key -type pair_key -type pair -type member_key -type member_part -type meta -type pair_stats -type port_stats -type stream -type drop_key -type failure_key -type tally -type event_loss -type event -type control -type verdict -type drop_reason -type copy_failure -type event_kind -type event_action -type table -type unregistered -type port_flags -type segment_flags -type group_flags -type watch_key -type watched -type direction -type watch_outcome wire wire.bpf.c
//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types replicate replicate.bpf.c
//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types consume consume.bpf.c
//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types copyloss copyloss.bpf.c
//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types forget forget.bpf.c
//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types watch watch.bpf.c
