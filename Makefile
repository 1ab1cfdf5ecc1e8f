# make alone lists the targets.

# The flag library can print Markdown, which weir does not; setting that up took a
# tenth of the time in which a command starts.
TAGS = urfave_cli_no_docs

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the static binary ./weir
	CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -ldflags=-s -o weir .

.PHONY: package
package: ## build the Debian package dist/weir_VERSION_ARCH.deb (GOARCH=arm64 for another machine)
	packaging/build

.PHONY: test
test: ## run the tests
	go test ./...

.PHONY: race
race: ## run the tests with the race detector (needs a C compiler)
	go test -race ./...

.PHONY: lint
lint: ## gofmt, vet and staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	staticcheck ./...

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME (default 10s) each
	@for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; \
			go test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-10s} $$p || exit 1; \
		done; \
	done

.PHONY: bench
bench: ## run the microbenchmarks of all packages
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: compare
compare: ## measure weir beside nfdump: SIZE=quick (default), full, archive or live
	go run ./bench/compare $${SIZE:-quick}

.PHONY: scripts
scripts: ## write the expected output of the command line's scripts again
	go test ./command -run Scripts -update

.PHONY: demo
demo: ## show weir at work
	go run . demo
