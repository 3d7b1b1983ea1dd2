#!/usr/bin/env bash
# Lets this machine run programs for linux/arm64 as it runs its own, by qemu's user emulation. Needs root; on an arm64 machine nothing is to be done.
#   arm64.sh start   registers the emulator with the kernel, unless one is
#   arm64.sh stop    takes back what start registered
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
kernel=/proc/sys/fs/binfmt_misc
name=trtperf-arm64

case ${1:-} in
start)
	[ "$(uname -m)" != aarch64 ] || exit 0
	need qemu-aarch64-static qemu-user-static
	[ -e $kernel/register ] || mount -t binfmt_misc binfmt_misc $kernel
	if [ -e $kernel/$name ] || [ -e $kernel/qemu-aarch64 ]; then
		exit 0
	fi
	# What an ELF file for the machine 0xb7 begins with, executable or position-independent; the kernel itself reads the escapes. F: the emulator is opened now,
	# so that other roots and users have it too.
	magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
	mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
	printf '%s' ":$name:M::$magic:$mask:$(command -v qemu-aarch64-static):F" >$kernel/register
	;;
stop)
	[ ! -e $kernel/$name ] || echo -1 >$kernel/$name
	;;
*)
	echo "usage: arm64.sh start|stop" >&2
	exit 2
	;;
esac
