#!/bin/bash
# Stand-in for slurm_install.sh: fetches the build's archive and unpacks it, once on each node.

source "$(dirname "${BASH_SOURCE[0]}")/bash_utils.sh"

slurm_install_setup() {
    cd $resourcePathNode
    local lock="install_lock_job_${SLURM_JOB_ID:-local}_node_${SLURM_NODEID:-0}.lock"
    echo "Installing $tarName of $llmTarfile for $stageName: $pytestCommand"
    if [ "$SLURM_LOCALID" -eq 0 ]; then
        # Nodes and roles of a test share one machine, and so this directory.
        local archive="$tarName.$$"
        case $llmTarfile in
            http*) retry_command curl --fail --silent --show-error --output "$archive" "$llmTarfile" ;;
            *) retry_command cp "$llmTarfile" "$archive" ;;
        esac
        tar -zxf "$archive"
        touch "$lock"
    else
        while [ ! -f "$lock" ]; do
            sleep "${TREE_INSTALL_SLEEP:-5}"
        done
    fi
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -xEeuo pipefail
    trap 'rc=$?; echo "Error in file ${BASH_SOURCE[0]} on line $LINENO: $BASH_COMMAND (exit $rc)"; exit $rc' ERR
    slurm_install_setup
fi
