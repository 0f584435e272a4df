# Two commands: `make demo` shows what this is, `make test` runs everything that tests it.
SHELL := /bin/bash
PYTHON ?= python3
DLC := $(or $(CARGO_TARGET_DIR),target)/release/dlc

.PHONY: help setup build demo card test references bench bench-quick bench-kernels bench-compiler tidy fmt

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## Install what building needs (LLVM 22, a C compiler), where it is missing
	@.ci/setup.sh

build: setup ## Build dlc, optimised
	@cargo build --release --quiet -p dlc

demo: setup ## Walk through: an error and its fix, training, a C library, what it measures
	@DLC=$(DLC) models/demo/demo.sh

card: setup ## As demo, and write its figures into README.md
	@DLC=$(DLC) CARD=README.md models/demo/demo.sh

test: setup ## Run every test
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --workspace --no-fail-fast; \
	else \
		cargo test --workspace --no-fail-fast; \
	fi

references: ## Make what PyTorch computes anew, networks of full size too (PYTHON=… with bench-suite/requirements.txt)
	@cd bench-suite && $(PYTHON) -m exporters.pytorch --full && $(PYTHON) -m exporters.sweeps

bench: build ## Measure all models beside all frameworks, some hours; goes on where it was stopped
	@$(DLC) bench --all --threads 1,2 --facts --curve models/digits.model --out bench-suite/results/full.jsonl
	@$(DLC) bench --models mlp,tabular,lenet,resnet18 --mode server --out bench-suite/results/full.jsonl
	@$(DLC) bench --models tabular --mode streamed --out bench-suite/results/full.jsonl
	@$(DLC) bench --models mlp,lenet,resnet18,minilm,lstm --series --mode infer --out bench-suite/results/full.jsonl
	@$(DLC) report bench-suite/results/full.jsonl -o reports/index.html

bench-quick: build ## Measure three models beside the arms that start quickly, less than ten minutes
	@$(DLC) bench --models mlp,tabular,lenet --quick --style compiled,graph,eager --against pytorch,torchscript,onnxruntime \
		--out bench-suite/results/quick.jsonl
	@$(DLC) report bench-suite/results/quick.jsonl -o reports/quick.html

bench-kernels: build ## Measure single operations beside the best of the others, some hours; goes on where it was stopped
	@$(DLC) bench --kernels --threads 1,2 --table --out bench-suite/results/kernels.jsonl \
		--against dlc-dynamic,pytorch,pytorch-compiled,onnxruntime,openvino,keras-jax,keras-tf

bench-compiler: ## Time the compiler's own stages and kernels, and tell what changed since the last time
	@cargo bench --quiet -p compiler-bench --bench speed
	@cargo run --quiet --release -p compiler-bench

tidy: ## Check the house rules: dependency edges, file sizes, explanations
	@cargo dev tidy

fmt: ## Format Rust and model sources
	@cargo fmt --all
	@$(DLC) fmt models/*.model models/std/*.model
