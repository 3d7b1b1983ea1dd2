#!/usr/bin/env bash
# Builds the archives that users get, the same bytes each time for the same commit: dist.sh DIR VERSION [ARCH…]
# Each holds the program, the one for the other architecture (a launch on a cluster may need it there), man pages, completions, the Jenkins
# files and the documentation. SHA256SUMS lists their hashes.
set -euo pipefail
out=$1 version=$2
shift 2
arches=("${@:-amd64}")
[ $# -gt 0 ] || arches=(amd64 arm64)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p "$out"
out=$(cd "$out" && pwd)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build() {
	CGO_ENABLED=0 GOOS=linux GOARCH=$1 go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$version" -o "$2" ./cmd/trtperf
}
for arch in "${arches[@]}"; do
	build "$arch" "$work/trtperf-linux-$arch"
done
# Pages and completions come from the program itself, built for this machine.
build "$(go env GOHOSTARCH)" "$work/trtperf"
"$work/trtperf" man "$work/man"
mkdir "$work/completion"
for shell in bash zsh fish; do
	"$work/trtperf" completion $shell >"$work/completion/trtperf.$shell"
done
rm -f "$out/SHA256SUMS"
for arch in "${arches[@]}"; do
	name=trtperf-$version-linux-$arch
	dir=$work/$name
	mkdir "$dir"
	cp "$work/trtperf-linux-$arch" "$dir/trtperf"
	for other in "${arches[@]}"; do
		[ "$other" = "$arch" ] || cp "$work/trtperf-linux-$other" "$dir/"
	done
	cp -r README.md LICENSE docs jenkins "$work/man" "$work/completion" "$dir/"
	find "$dir" -type d -exec chmod 755 {} +
	find "$dir" -type f -exec chmod 644 {} +
	chmod 755 "$dir"/trtperf*
	tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
	(cd "$out" && sha256sum "$name.tar.gz" >>SHA256SUMS)
done
cat "$out/SHA256SUMS"
