# Targets: build, test, bench, soak, dist, lint, clean.

version := $(shell git describe --always --dirty --tags 2>/dev/null || echo unknown)
golangci := v2.5.0
# A suite that takes longer than this hangs.
timeout := 30m

.PHONY: build test bench soak dist lint clean

build:
	@command -v go >/dev/null || { echo "Go 1.26 or later is missing: https://go.dev/dl" >&2; exit 1; }
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(version)" -o bin/trtperf ./cmd/trtperf

# All tests, with the servers that they need; each suite's line ends with its time. Then each fuzz test for 20 seconds (FUZZTIME).
test: build
	@unformatted=$$(gofmt -l cmd export launch parse testdata upload); [ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted" >&2; exit 1; }
	go vet ./...
	testdata/services/with-services.sh go test -count=1 -timeout $(timeout) ./...
	testdata/bench/fuzz.sh

# Speed beside the tools that a user would pick instead.
bench: build
	testdata/bench/reading.py bin/trtperf
	testdata/bench/delivery.sh
	testdata/bench/trtperfdb.sh
	testdata/bench/sqlite.sh
	testdata/bench/launch.sh
	testdata/bench/remote.sh

# What takes long: every fuzz test for FUZZTIME (default 2m), the tests under the race detector, and whole sizes.
soak:
	testdata/bench/soak.sh

# Archives for linux/amd64 and linux/arm64 in dist/, the same bytes each time for the same commit.
dist:
	cmd/trtperf/dist.sh dist $(version)

lint:
	@[ -x .cache/bin/golangci-lint-$(golangci) ] || { \
		GOBIN=$(CURDIR)/.cache/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(golangci) && \
		mv .cache/bin/golangci-lint .cache/bin/golangci-lint-$(golangci); }
	.cache/bin/golangci-lint-$(golangci) run ./...

clean:
	rm -rf bin dist .cache
