#!/usr/bin/env bash
# Runs a command with the servers that the tests need: with-services.sh COMMAND ARG…
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need shellcheck shellcheck # the scripts of a launch are checked
home=$(mktemp -d)
trap '"$here/opensearch.sh" stop --home "$home/opensearch"; "$here/mariadb.sh" stop --home "$home/mariadb"; "$here/slurm.sh" stop --home "$home/slurm"; rm -rf "$home"' EXIT
started=$SECONDS
TRTPERF_TEST_OPENSEARCH=$("$here/opensearch.sh" start --home "$home/opensearch")
TRTPERF_TEST_MARIADB=$("$here/mariadb.sh" start --home "$home/mariadb")
TRTPERF_TEST_SLURM_CONF=$("$here/slurm.sh" start --home "$home/slurm")
export TRTPERF_TEST_OPENSEARCH TRTPERF_TEST_MARIADB TRTPERF_TEST_SLURM_CONF TRTPERF_REQUIRE_SERVICES=1
echo "services: OpenSearch at $TRTPERF_TEST_OPENSEARCH, MariaDB at $TRTPERF_TEST_MARIADB, Slurm with $TRTPERF_TEST_SLURM_CONF after $((SECONDS - started)) s"
"$@"
