#!/bin/bash
# Stand-in for the newer slurm_run.sh: runs in the container, once for each task of a step.

set -xEeuo pipefail
trap 'rc=$?; echo "Error in file ${BASH_SOURCE[0]} on line $LINENO: $BASH_COMMAND (exit $rc)"; exit $rc' ERR

# The image sets it.
: "${LD_LIBRARY_PATH:=}"

cd $resourcePathNode
llmSrcNode=$resourcePathNode/TensorRT-LLM/src

# The real one makes every directory safe for git on rank 0 here, in the user's own configuration.

if [[ "$stageName" != *Disagg* ]]; then
    source "$(dirname "${BASH_SOURCE[0]}")/slurm_install.sh"
    slurm_install_setup
fi

cd $llmSrcNode/tests/integration/defs

trtllmWhlPath=$llmSrcNode

if [ $SLURM_PROCID -eq 0 ]; then
    sed -i "s|---wheel_path---|$trtllmWhlPath|g" "$coverageConfigFile"
else
    sleep "${TREE_RUN_SLEEP:-30}"
fi

export LD_LIBRARY_PATH=$llmSrcNode/tensorrt_llm/libs:$LD_LIBRARY_PATH

# All ranks of the step meet before pytest starts.
barrier=$jobWorkspace/barrier.${SLURM_JOB_ID:-local}.${SLURM_STEP_ID:-0}
mkdir -p $barrier
touch $barrier/$SLURM_PROCID
while [ $(ls $barrier | wc -l) -lt ${SLURM_NTASKS:-1} ]; do
    sleep 0.1
done

role=${DISAGG_SERVING_TYPE:-}
timeouts=$jobWorkspace/timeouts.${role:-AGG}.$SLURM_PROCID.jsonl
if [ "${SLURM_JOB_NUM_NODES:-1}" -eq 1 ] || [ "$role" = "BENCHMARK" ] || [ "$role" = "DISAGG_SERVER" ]; then
    for v in ${!PMI@} ${!PMIX@} ${!MPI@} ${!OMPI@} ${!SLURM@}; do
        if [ "$v" != "SLURM_PROCID" ]; then
            unset "$v"
        fi
    done
fi

set +e
trap - ERR
eval "$pytestCommand" | tee $jobWorkspace/pytest.${role:-AGG}.$SLURM_PROCID.log
pytest_exit_code=${PIPESTATUS[0]}
echo "Rank $SLURM_PROCID finished with exit code $pytest_exit_code"
echo "{\"rank\": $SLURM_PROCID, \"timeout\": false}" > $timeouts

perf_check_exit_code=0
if [ $SLURM_PROCID -eq 0 ] && [ "$perfMode" = "true" ]; then
    basePerfPath=$llmSrcNode/tests/integration/defs/perf/base_perf_pytorch.csv
    python3 $llmSrcNode/tests/integration/defs/perf/sanity_perf_check.py "$stageName/perf_script_test_results.csv" "$basePerfPath"
    perf_check_exit_code=$?
    python3 $llmSrcNode/tests/integration/defs/perf/create_perf_comparison_report.py --output_path="$stageName/report.pdf" \
        --files "$stageName/perf_script_test_results.csv" "$basePerfPath"
fi

if [ $pytest_exit_code -ne 0 ]; then
    exit $pytest_exit_code
fi
exit $perf_check_exit_code
