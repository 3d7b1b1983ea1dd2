# Stand-in for the aggregated draft: one step, and no installation. shellcheck shell=bash

cleanup_on_failure() {
    echo "Error: $1"
    scancel $SLURM_JOB_ID
    exit 1
}

mkdir -p $jobWorkspace
chmod +x $runScript

echo "Starting aggregated test..."
if ! srun "${srunArgs[@]}" --kill-on-bad-exit=1 -N $totalNodes --ntasks=$totalGpus --ntasks-per-node=$gpusPerNodePerServer \
    --mpi=${TREE_DRAFT_MPI:-pmix} $runScript; then
    cleanup_on_failure "Aggregated test failed"
fi
echo "Total runtime: $SECONDS seconds"
