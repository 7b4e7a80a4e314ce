package main

//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types -type arrival -type order traffic traffic.bpf.c
//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types shipped ../../bpf/replicate.bpf.c
//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types bookkeeping bookkeeping.bpf.c
