#!/bin/bash
# Boots Debian's kernels under emulation, runs the tests of the kernel programs
# and `fanlight demo` on each, and fails if one fails or can't be had. Packages
# are unpacked below .cache/kernels and nothing is installed; needs no root.
#
#   [TESTS=-test.run=NAME] test/kernels/run.sh [suite...]
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/kernels/guest.sh
boot_seconds=${BOOT_SECONDS:-600}

# boot: run the guest of $suite and judge its last line.
boot() {
	local dir=$cache/$suite modules
	modules=$(find "$dir/root" -path '*/lib/modules/*/kernel' -type d -prune)
	"$cache/bin/initramfs" -modules "$modules" -load veth,tun,sch_ingress,cls_bpf,sch_tbf,nfnetlink,xfrm_user -o "$dir/initramfs.gz" \
		init="$cache/bin/init" bpf.test="$cache/bin/bpf.test" fanlight="$cache/bin/fanlight" \
		README.md=README.md bpf/wire_bpfel.go=bpf/wire_bpfel.go bpf/testdata=bpf/testdata
	emulate "$boot_seconds" 1024 "$dir/initramfs.gz" "${TESTS:+-- $TESTS}" >"$dir/log" || true
	local result
	result=$(tr -d '\r' <"$dir/log" | grep '^guest: ' | tail -1 || true)
	case $result in
	*", ok") echo "$suite: ${result#guest: }" ;;
	*)
		tail -n 60 "$dir/log"
		echo "$suite: ${result:-no result within $boot_seconds seconds}"
		return 1
		;;
	esac
}

mkdir -p "$cache/bin"
CGO_ENABLED=0 go test -c -o "$cache/bin/bpf.test" ./bpf
CGO_ENABLED=0 go build -o "$cache/bin/" ./cmd/fanlight ./test/kernels/init ./test/kernels/initramfs

failed=0
fetch_qemu
[ $# -gt 0 ] || set -- bookworm bookworm-backports trixie-backports # 6.1, 6.12, the newest
for suite; do
	# A shell of its own: set -e does nothing to the left of ||.
	(
		fetch_kernel
		boot
	) &
	wait $! || failed=1
done
exit $failed
