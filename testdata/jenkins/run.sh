#!/usr/bin/env bash
# Runs a pipeline in harness.groovy: run.sh FILE --workspace DIR …
set -euo pipefail
# shellcheck source-path=SCRIPTDIR/../services source=../services/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../services/lib.sh"
need groovy groovy
need java default-jre-headless
# Debian's script looks where no link need be.
java=$(readlink -f "$(command -v java)")
export JAVA_HOME=${JAVA_HOME:-${java%/bin/java}}
exec groovy "$(dirname "${BASH_SOURCE[0]}")/harness.groovy" "$@"
