#!/bin/bash
# Makes the database of Go's known vulnerabilities, as govulncheck wants it, from
# the module that it is published as: no other site than the module proxy is
# asked. A version that is there already is not made again.
#
#   test/vulndb/index.sh VERSION DIR
set -euo pipefail
version=$1 dir=$2
[ ! -e "$dir/$version" ] || exit 0
source=$(go mod download -json "golang.org/x/vulndb@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
out=$(realpath -m "$dir")/$version
rm -rf "$out.tmp" && mkdir -p "$(dirname "$out")"
(cd "$source" && go run ./cmd/indexdb -out "$out.tmp" -vulns data/osv)
mv "$out.tmp" "$out"
