#!/bin/bash
# Boots Debian's kernels under emulation, runs the tests of the kernel programs
# and `fanlight demo` on each, and fails if one fails or can't be had. Packages
# are unpacked below .cache/kernels and nothing is installed; needs no root.
#
#   [TESTS=-test.run=NAME] test/kernels/run.sh [suite...]
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=$PWD/.cache/kernels
mirror=$(sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
mirror=${mirror:-http://deb.debian.org/debian}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
boot_seconds=${BOOT_SECONDS:-600}

# apt COMMAND... with the package lists of $suite alone, kept apart from the host's.
apt() {
	local state=$cache/$suite/apt command=$1
	shift
	"$command" -qq -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root "$@"
}

update() {
	mkdir -p "$cache/$suite/apt/"{lists/partial,cache/archives/partial} "$cache/$suite/debs"
	for s in "$@"; do echo "deb [signed-by=$keys] $mirror $s main"; done >"$cache/$suite/apt/sources.list"
	apt apt-get update
}

# fetch PACKAGE...: unpack those into $cache/$suite/root, if they changed.
fetch() {
	local root=$cache/$suite/root stamp
	stamp=$(apt apt-cache show --no-all-versions "$@" | sed -n 's/^Filename: //p')
	[ "$stamp" != "$(cat "$cache/$suite/stamp" 2>/dev/null)" ] || return 0
	rm -rf "$root" "$cache/$suite/debs" && mkdir -p "$root" "$cache/$suite/debs"
	(cd "$cache/$suite/debs" && apt apt-get download "$@")
	for deb in "$cache/$suite/debs/"*.deb; do dpkg-deb -x "$deb" "$root"; done
	rm -rf "$cache/$suite/debs"
	echo "$stamp" >"$cache/$suite/stamp"
}

fetch_kernel() {
	update "$suite"
	local image
	image=$(apt apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
	[ -n "$image" ] || { echo "$suite: no kernel found"; return 1; }
	mapfile -t parts < <(apt apt-cache depends --recurse --no-recommends --no-suggests "$image" |
		grep -E '^linux-(image|binary|modules)-[0-9]' | sort -u)
	fetch "${parts[@]}"
}

# QEMU 7.2 of Debian 12 crashes newer kernels: take 10 from the backports.
fetch_qemu() {
	suite=qemu
	update bookworm bookworm-backports
	mapfile -t parts < <(apt apt-get install -y --no-install-recommends --print-uris -t bookworm-backports \
		qemu-system-x86 seabios | sed -n "s/^'[^']*' \([^_]*\)_\([^_]*\)_.*/\1=\2/p" | sed 's/%3a/:/')
	[ ${#parts[@]} -eq 0 ] || fetch "${parts[@]}"
}

fetch_qemu
# boot: run the guest of $suite and judge its last line.
boot() {
	local dir=$cache/$suite vmlinuz modules qemu=$cache/qemu/root
	vmlinuz=$(find "$dir/root" -name 'vmlinuz*' -type f)
	modules=$(find "$dir/root" -path '*/lib/modules/*/kernel' -type d -prune)
	"$cache/bin/initramfs" -modules "$modules" -load veth,tun,sch_ingress,cls_bpf,sch_tbf,nfnetlink,xfrm_user -o "$dir/initramfs.gz" \
		init="$cache/bin/init" bpf.test="$cache/bin/bpf.test" fanlight="$cache/bin/fanlight" \
		README.md=README.md bpf/wire_bpfel.go=bpf/wire_bpfel.go bpf/testdata=bpf/testdata
	local libs=$qemu/usr/lib/$(uname -m)-linux-gnu
	LD_LIBRARY_PATH=$libs:$qemu/lib/$(uname -m)-linux-gnu QEMU_MODULE_DIR=$libs/qemu PATH=$qemu/usr/bin:$PATH \
		timeout "$boot_seconds" qemu-system-x86_64 -L "$qemu/usr/share/qemu" -L "$qemu/usr/share/seabios" \
		-accel tcg -cpu max -m 1024 -smp 2 -nographic -no-reboot -nic none \
		-kernel "$vmlinuz" -initrd "$dir/initramfs.gz" -append "console=ttyS0 quiet panic=-1${TESTS:+ -- $TESTS}" \
		</dev/null >"$dir/log" 2>&1 || true
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
