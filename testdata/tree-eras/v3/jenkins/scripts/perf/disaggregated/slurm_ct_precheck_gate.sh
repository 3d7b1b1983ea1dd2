# Stand-in for the gate that submit.py puts before the draft: the cache transceivers are tried before a server starts.
# shellcheck shell=bash

slice_nodes() {
    nodes=($(scontrol show hostnames $SLURM_JOB_NODELIST))
    local needed=$((numGenServers * nodesPerGenServer + numCtxServers * nodesPerCtxServer))
    if [ ${#nodes[@]} -lt $needed ]; then
        cleanup_on_failure "Node slicing needs $needed nodes, the job has ${#nodes[@]}"
    fi
    next=0
}

# take_nodes N: the next N of the job's nodes, as $taken.
take_nodes() {
    local IFS=,
    taken="${nodes[*]:$next:$1}"
    next=$((next + $1))
}

run_ct_precheck() {
    if [ "${TRTLLM_DISAGG_CT_PRECHECK:-1}" != "1" ]; then
        echo "Cache transceiver precheck is off"
        return 0
    fi
    echo "Running cache transceiver precheck on $totalNodes nodes..."
    # The real one sends caches from node to node. This one looks whether each has the sources.
    if srun "${srunArgs[@]}" -N $totalNodes --ntasks=$totalNodes --ntasks-per-node=1 \
        bash -c 'test -d "$1" && [[ ",${TREE_FAULTS:-}," != *,ct-precheck,* ]]' precheck $llmSrcNode &> $jobWorkspace/ct_precheck.log; then
        return 0
    fi
    echo '<testsuites><testsuite name="ct-precheck" errors="0" failures="1" tests="1"><testcase classname="ct" name="precheck"><failure message="the cache transceiver precheck failed"/></testcase></testsuite></testsuites>' \
        > $jobWorkspace/results-ct-precheck.xml
    cleanup_on_failure "Cache transceiver precheck failed, see $jobWorkspace/results-ct-precheck.xml"
}
