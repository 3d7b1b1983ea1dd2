# Stand-in for the draft of January 2026: what the job does, in the real one's order. shellcheck shell=bash

cleanup_on_failure() {
    echo "Error: $1"
    scancel $SLURM_JOB_ID
    exit 1
}

mkdir -p $jobWorkspace
chmod +x $runScript
chmod +x $installScript

echo "Starting installation on all nodes..."
if ! srun "${srunArgs[@]}" $installScript &> $jobWorkspace/install.log; then
    cleanup_on_failure "Failed to install, see $jobWorkspace/install.log"
fi

echo "Starting generation servers..."
for i in $(seq 0 $((numGenServers - 1))); do
    export DISAGG_SERVING_TYPE="GEN_$i"
    export pytestCommand="$pytestCommandWorker"
    srun "${srunArgs[@]}" --kill-on-bad-exit=1 \
        -N $nodesPerGenServer --ntasks=$((nodesPerGenServer * gpusPerNode)) --ntasks-per-node=$gpusPerNode \
        $runScript &> $jobWorkspace/gen_server_$i.log &
done

if [ "${TRTLLM_DISAGG_BENCHMARK_GEN_ONLY:-0}" != "1" ]; then
    echo "Starting context servers..."
    for i in $(seq 0 $((numCtxServers - 1))); do
        export DISAGG_SERVING_TYPE="CTX_$i"
        export pytestCommand="$pytestCommandWorker"
        srun "${srunArgs[@]}" --kill-on-bad-exit=1 \
            -N $nodesPerCtxServer --ntasks=$((nodesPerCtxServer * gpusPerNode)) --ntasks-per-node=$gpusPerNode \
            $runScript &> $jobWorkspace/ctx_server_$i.log &
    done
fi

echo "Starting disaggregated server..."
export DISAGG_SERVING_TYPE="DISAGG_SERVER"
export pytestCommand="$pytestCommandDisaggServer"
srun "${srunArgs[@]}" --kill-on-bad-exit=1 --overlap -N 1 --ntasks=1 $runScript &> $jobWorkspace/disagg_server.log &

echo "Starting benchmark..."
export DISAGG_SERVING_TYPE="BENCHMARK"
export pytestCommand="$pytestCommandBenchmark"
if ! srun "${srunArgs[@]}" --kill-on-bad-exit=1 --overlap -N 1 --ntasks=1 $runScript; then
    cleanup_on_failure "Benchmark failed"
fi

echo "Disagg server and benchmark completed successfully"
echo "Total runtime: $SECONDS seconds"
