#!/usr/bin/env bash
# Runs a command with the servers that the tests need: with-services.sh COMMAND ARG…
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$(mktemp -d)
trap '"$here/opensearch.sh" stop --home "$home/opensearch"; "$here/mariadb.sh" stop --home "$home/mariadb"; rm -rf "$home"' EXIT
started=$SECONDS
TRTPERF_TEST_OPENSEARCH=$("$here/opensearch.sh" start --home "$home/opensearch")
TRTPERF_TEST_MARIADB=$("$here/mariadb.sh" start --home "$home/mariadb")
export TRTPERF_TEST_OPENSEARCH TRTPERF_TEST_MARIADB TRTPERF_REQUIRE_SERVICES=1
echo "services: OpenSearch at $TRTPERF_TEST_OPENSEARCH, MariaDB at $TRTPERF_TEST_MARIADB after $((SECONDS - started)) s"
"$@"
