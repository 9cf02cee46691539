# A thin front: every verb is `cargo xtask VERB`, after hack/bootstrap has made
# sure that there is a cargo to run it with. ARGS passes further arguments.

.DEFAULT_GOAL := help
.PHONY: help setup build test demo practice bench lint clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## get this machine ready: packages, BPF toolchain, mounts
	@hack/bootstrap setup $(ARGS)

build: ## the kernel programs and the etm binary
	@hack/bootstrap build $(ARGS)

test: ## set up, build and test on the real kernel
	@hack/bootstrap test $(ARGS)

demo: ## set up, build and show it on this machine
	@hack/bootstrap demo $(ARGS)

practice: ## set up, build and run a real cluster to practise on, until Ctrl-C
	@hack/bootstrap practice $(ARGS)

bench: ## set up, build and measure; results in target/bench
	@hack/bootstrap bench $(ARGS)

lint: ## formatting, clippy, licences and duplicates
	@hack/bootstrap lint $(ARGS)

clean: ## what was built; the tools in the cache stay
	@hack/bootstrap clean $(ARGS)
