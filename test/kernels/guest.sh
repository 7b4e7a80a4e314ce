# Functions of scripts that boot guests under emulation; to be sourced from the
# root of the checkout. Packages are unpacked below .cache/kernels, and nothing is
# installed.
cache=$PWD/.cache/kernels
mirror=$(sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
mirror=${mirror:-http://deb.debian.org/debian}
keys=/usr/share/keyrings/debian-archive-keyring.gpg

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

# emulate SECONDS MEMORY INITRD KERNEL_ARGUMENTS: boot the kernel of $suite, with
# the console on standard output.
emulate() {
	local qemu=$cache/qemu/root libs vmlinuz
	libs=$qemu/usr/lib/$(uname -m)-linux-gnu
	vmlinuz=$(find "$cache/$suite/root" -name 'vmlinuz*' -type f)
	LD_LIBRARY_PATH=$libs:$qemu/lib/$(uname -m)-linux-gnu QEMU_MODULE_DIR=$libs/qemu PATH=$qemu/usr/bin:$PATH \
		timeout "$1" qemu-system-x86_64 -L "$qemu/usr/share/qemu" -L "$qemu/usr/share/seabios" \
		-accel tcg -cpu max -m "$2" -smp 2 -nographic -no-reboot -nic none \
		-kernel "$vmlinuz" -initrd "$3" -append "console=ttyS0 quiet panic=-1 $4" </dev/null 2>&1
}
