# make help lists the targets.
SHELL := /bin/bash
GO ?= go
CLANG ?= clang-19
STRIP ?= llvm-strip-19
CLANG_FORMAT ?= clang-format-19
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# What the build and the tests need beyond Go, as Debian 12 packages.
BUILD_PACKAGES := clang-19 llvm-19 libbpf-dev
TEST_PACKAGES := $(BUILD_PACKAGES) clang-format-19 iproute2 prometheus logrotate rsyslog rsyslog-openssl \
  default-jre-headless kcat maven gcc libc6-dev tmux procps prometheus-alertmanager \
  chromium fonts-dejavu-core libjs-d3 curl systemd ca-certificates mmdebstrap cpio kmod rpm buildah

# The version of Go's database of vulnerabilities.
VULNDB ?= v0.0.0-20261105234957-e22db6528018

export CGO_ENABLED := 0
# An older Go has vulnerabilities of its own; Go fetches the one that go.mod names.
export GOTOOLCHAIN := $(shell sed -n 's/^toolchain //p' go.mod)
export BPF2GO_CC := $(CLANG)
export BPF2GO_STRIP := $(STRIP)
export BPF2GO_CFLAGS := -O2 -g -mcpu=v3 -Wall -Wextra -Wpadded -Werror -I/usr/include/$(shell uname -m)-linux-gnu

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | column -t -s "$$(printf '\t')"

.PHONY: run
run: build ## build, and show fanlight at work in a network of its own (needs root)
	bin/fanlight demo $(ARGS)

.PHONY: build
build: ## build bin/fanlight (the kernel programs are in the tree, compiled)
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/fanlight ./cmd/fanlight

.PHONY: deps
deps: .cache/kafka/.done ## get what the tests need: Debian packages (needs root), the jars of a Kafka broker

.PHONY: packages
packages:
	@missing=; for p in $(TEST_PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing:$$missing"; apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi

# What is fetched is kept for all checkouts of a user.
DOWNLOADS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fanlight

.PHONY: downloads
downloads:
	@mkdir -p .cache; for d in kafka otelcol kernels vulndb; do \
	  [ -e .cache/$$d ] || { mkdir -p $(DOWNLOADS)/$$d && ln -sfn $(DOWNLOADS)/$$d .cache/$$d; }; done

.PHONY: otelcol
otelcol: .cache/otelcol/otelcol ## build the OpenTelemetry Collector that the tests send to (minutes, once)

# Of a module of its own: fanlight's has none of its many dependencies.
.cache/otelcol/otelcol: test/otelcol/main.go test/otelcol/go.mod test/otelcol/go.sum | downloads
	cd test/otelcol && $(GO) build -trimpath -ldflags '-s -w' -o $(CURDIR)/$@ .

# Once they are there, nothing asks the network for them until the pom changes.
.cache/kafka/.done: test/kafka/pom.xml | packages downloads
	@cmp -s $< $@ || { rm -rf .cache/kafka/* && \
	  mvn -q -B -ntp -f $< dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/.cache/kafka && \
	  cp $< $@; }
	@touch $@

.PHONY: generate
generate: ## compile the kernel programs and regenerate what is made from tables
	$(GO) generate ./...

.PHONY: man
man: ## write the manual pages in docs/man, from the help of the verbs
	$(GO) generate ./cmd/fanlight

.PHONY: screenshots
screenshots: build | packages ## take the screens of docs/tour.md again, from a demo in tmux (needs root)
	$(GO) run ./test/screenshots

.PHONY: test
test: deps lint check-generated test-go test-race test-kernels ## run all tests, as CI does (needs root)

.PHONY: test-go
test-go: otelcol ## run the Go tests: unit, kernel programs, end to end in namespaces (needs root)
	ALONE=1 REQUIRE_BPF=1 $(GO) test -count=1 -run TestJoinsAreFast ./cmd/fanlight
	REQUIRE_BPF=1 $(GO) test -count=1 -p 1 -timeout 40m ./...

.PHONY: test-race
test-race: ## run the tests of what goroutines share under the race detector
	CGO_ENABLED=1 $(GO) test -race -count=1 ./redact ./collector ./history ./live

.PHONY: test-kernels
test-kernels: downloads ## run the kernel programs' tests and the demo on Debian's 6.1, 6.12 and newest kernels, emulated
	test/kernels/run.sh

.PHONY: test-packages
test-packages: downloads ## install, upgrade and remove the package in a bare Debian 12 that boots under emulation (needs root)
	test/packages/run.sh

.PHONY: bench
bench: ## compare forwarding with the Linux bridge, ip_mroute and tc mirred (needs root, minutes; ARGS=-quick)
	nice -n -20 $(GO) run ./test/bench $(ARGS)

.PHONY: pictures
pictures: packages ## take the pictures of dashboards and live page in docs/pictures anew (needs root, minutes)
	REQUIRE_BPF=1 $(GO) test -count=1 -run TestPictures ./test/browser -pictures
	CI=true REQUIRE_BPF=1 $(GO) test -count=1 ./dashboards -run TestInTheLab -pictures $(CURDIR)/docs/pictures

.PHONY: check-generated
check-generated: ## compile and generate again, and fail on a difference
	@before=$$(git ls-files -z '*.o' '*_bpfel.go' docs dashboards/grafana | xargs -0 sha256sum); $(MAKE) --no-print-directory generate >/dev/null; \
	after=$$(git ls-files -z '*.o' '*_bpfel.go' docs dashboards/grafana | xargs -0 sha256sum); \
	if [ "$$before" != "$$after" ]; then diff <(echo "$$before") <(echo "$$after"); \
	  echo "generated files were stale: run make generate and commit"; exit 1; fi

.PHONY: lint
lint: vulncheck ## gofmt, vet, staticcheck, clang-format, govulncheck
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt: $$out"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(CLANG_FORMAT) --dry-run -Werror bpf/*.h bpf/*.bpf.c test/bench/*.bpf.c

.PHONY: vulncheck
vulncheck: downloads ## look for known vulnerabilities in what is linked
	test/vulndb/index.sh $(VULNDB) .cache/vulndb
	$(GO) tool govulncheck -db file://$(CURDIR)/.cache/vulndb/$(VULNDB) ./...

.PHONY: fmt
fmt: ## format Go and C
	gofmt -w $$(git ls-files '*.go')
	$(CLANG_FORMAT) -i bpf/*.h bpf/*.bpf.c test/bench/*.bpf.c

include deploy/deploy.mk

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
