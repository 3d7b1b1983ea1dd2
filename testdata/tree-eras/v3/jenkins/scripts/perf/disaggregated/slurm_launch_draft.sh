# Stand-in for the disaggregated draft of the newest form. submit.py takes its indentation and blank lines away.
# TREE_DRAFT_MPI, TREE_DRAFT_SLEEP and TREE_DRAFT_SETTLE stand for what the real one has fixed: pmix, 5 and 10 seconds.
# shellcheck shell=bash

cleanup_on_failure() {
    echo "Error: $1"
    scancel $SLURM_JOB_ID
    exit 1
}

mkdir -p $jobWorkspace
mkdir -p $testOutputDir
rm -f $testOutputDir/gen_server_*.done
chmod +x $runScript
chmod +x $installScript

slice_nodes

echo "Starting installation on all nodes..."
if ! srun "${srunArgs[@]}" $installScript &> $jobWorkspace/install.log; then
    cleanup_on_failure "Failed to install, see $jobWorkspace/install.log"
fi

run_ct_precheck

echo "Starting generation servers..."
for i in $(seq 0 $((numGenServers - 1))); do
    export DISAGG_SERVING_TYPE="GEN_$i"
    export pytestCommand="$pytestCommandGENWorker"
    take_nodes $nodesPerGenServer
    (
        srun "${srunArgs[@]}" --kill-on-bad-exit=1 -w $taken -N $nodesPerGenServer --ntasks=$gpusPerGenServer \
            --ntasks-per-node=$gpusPerNodePerGenServer --mpi=${TREE_DRAFT_MPI:-pmix} $runScript &> $testOutputDir/gen_server_$i.log &&
            touch $testOutputDir/gen_server_$i.done
    ) &
    sleep ${TREE_DRAFT_SLEEP:-5}
done

if [ "${TRTLLM_DISAGG_BENCHMARK_GEN_ONLY:-0}" != "1" ]; then
    echo "Starting context servers..."
    for i in $(seq 0 $((numCtxServers - 1))); do
        export DISAGG_SERVING_TYPE="CTX_$i"
        export pytestCommand="$pytestCommandCTXWorker"
        take_nodes $nodesPerCtxServer
        srun "${srunArgs[@]}" --kill-on-bad-exit=1 -w $taken -N $nodesPerCtxServer --ntasks=$gpusPerCtxServer \
            --ntasks-per-node=$gpusPerNodePerCtxServer --mpi=${TREE_DRAFT_MPI:-pmix} $runScript &> $testOutputDir/ctx_server_$i.log &
        sleep ${TREE_DRAFT_SLEEP:-5}
    done
fi
sleep ${TREE_DRAFT_SETTLE:-10}

echo "Starting disaggregated server..."
export DISAGG_SERVING_TYPE="DISAGG_SERVER"
export pytestCommand="$pytestCommandDisaggServer"
srun "${srunArgs[@]}" --kill-on-bad-exit=1 --overlap -N 1 --ntasks=1 $runScript &> $testOutputDir/disagg_server.log &

echo "Starting benchmark..."
export DISAGG_SERVING_TYPE="BENCHMARK"
export pytestCommand="$pytestCommandBenchmark"
if ! srun "${srunArgs[@]}" --kill-on-bad-exit=1 --overlap -N 1 --ntasks=1 $runScript; then
    cleanup_on_failure "Benchmark failed"
fi

echo "Disagg server and benchmark completed successfully"
echo "Total runtime: $SECONDS seconds"
