#!/usr/bin/env bash
# What takes long: every fuzz test for FUZZTIME (default 2m), then all tests under the race detector, and whole what runs small
# otherwise: memory with inputs of their full size, upload of a million results, every byte of the mutation test, process killed 200 times, 300
# Slurm jobs at once, 100,000 -k expressions against pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
FUZZTIME=${FUZZTIME:-2m} testdata/bench/fuzz.sh
testdata/services/with-services.sh env CGO_ENABLED=1 go test -race -count=1 -timeout 60m ./...
TRTPERF_SOAK=1 go test -count=1 -v -timeout 120m -run 'FlatMemory|UploadMemory|Mutation|Killed' ./cmd/trtperf ./parse/benchlog
TRTPERF_SOAK=1 go test -count=1 -v -timeout 10m -run TimeLimit ./launch/slurm
TRTPERF_SOAK=1 go test -count=1 -v -timeout 30m -run ManyJobs ./cmd/trtperf
TRTPERF_SOAK=1 go test -count=1 -v -timeout 10m -run AgainstPytest ./launch/keyword
