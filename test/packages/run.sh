#!/bin/bash
# Boots a bare Debian 12 with its own kernel and systemd under emulation, and lets
# test/packages/guest install, upgrade and remove the package there while packets
# flow. Needs root, because the guest's root file system keeps its owners. What is
# fetched stays below .cache.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/kernels/guest.sh
dir=$PWD/.cache/packages
suite=bookworm
boot_seconds=${BOOT_SECONDS:-600}

# bare_debian: the root file system of a minimal installation with systemd.
bare_debian() {
	[ -e "$dir/bare.tar" ] && return
	mmdebstrap --quiet --variant=minbase --include=systemd-sysv,dbus,kmod,iproute2,logrotate \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/doc/* "$1"/etc/dpkg/dpkg.cfg.d/*' \
		bookworm "$dir/bare.new.tar" "$mirror"
	mv "$dir/bare.new.tar" "$dir/bare.tar"
}

# package VERSION
package() {
	make --no-print-directory package VERSION="$1" >"$dir/package.log" 2>&1 || { cat "$dir/package.log"; return 1; }
	cp "dist/fanlight_$1_amd64.deb" "$dir/"
}

# assemble: bare Debian, the kernel's modules, both packages and the test.
assemble() {
	local root=$dir/root modules
	rm -rf "$root" && mkdir -p "$root"
	tar -xf "$dir/bare.tar" -C "$root"
	modules=$(find "$cache/$suite/root" -path '*/lib/modules/*/kernel' -type d -prune)
	modules=$(dirname "$modules")
	mkdir -p "$root/usr/lib/modules/$(basename "$modules")/kernel/drivers" "$root/opt"
	cp -a "$modules"/modules.* "$root/usr/lib/modules/$(basename "$modules")/"
	cp -a "$modules/kernel/net" "$modules/kernel/lib" "$modules/kernel/crypto" "$root/usr/lib/modules/$(basename "$modules")/kernel/"
	cp -a "$modules/kernel/drivers/net" "$root/usr/lib/modules/$(basename "$modules")/kernel/drivers/"
	depmod -b "$root" "$(basename "$modules")"
	cp "$dir/guest" "$dir"/fanlight_*.deb "$root/opt/"
	cp test/packages/guest.service "$root/etc/systemd/system/"
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -s ../guest.service "$root/etc/systemd/system/multi-user.target.wants/"
	rm -f "$root/etc/systemd/system/getty.target.wants/"*
	(cd "$root" && find . -print0 | cpio -0 -o -H newc --quiet) >"$dir/initrd.cpio"
}

mkdir -p "$dir"
rm -f "$dir"/*.deb
bare_debian
package 1.0.0
package 1.0.1
CGO_ENABLED=0 go build -o "$dir/guest" ./test/packages/guest
fetch_qemu
suite=bookworm
fetch_kernel
assemble
emulate "$boot_seconds" 2048 "$dir/initrd.cpio" "rdinit=/usr/lib/systemd/systemd systemd.show_status=no" >"$dir/log" || true
result=$(tr -d '\r' <"$dir/log" | grep '^guest: ' | tail -1 || true)
case $result in
*", ok")
	grep -A1 '^--- ' "$dir/log" | grep '^--- \|^    '
	echo "$result"
	;;
*)
	tail -n 150 "$dir/log"
	echo "${result:-no result within $boot_seconds seconds}"
	exit 1
	;;
esac
