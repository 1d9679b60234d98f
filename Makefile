# Two commands on a fresh machine, nothing before them: `make reproduce-table1` and `make test`.
# ILSVRC2010=/path/to/ILSVRC2010 makes the first one run on the real data set; table 2 needs ILSVRC2012=/path.

PYTHON ?= python3
BIN := .venv/bin
ALEXREPRO := $(BIN)/alexrepro
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
STAMP := .venv/.installed
SIMD := .venv/simd
RECIPE := $(if $(ILSVRC2010),as-run-2010,tiny)
DATASET := $(if $(ILSVRC2010),ilsvrc2010,ilsvrc2010-miniature)
SHORT := --epochs 2
RECIPE_2012 := $(if $(ILSVRC2012),as-run-2012,tiny $(SHORT))
DATASET_2012 := $(if $(ILSVRC2012),ilsvrc2012,ilsvrc2010-miniature)
SEEDS_2012 := $(if $(ILSVRC2012),0 1 2 3 4,0 1)
# A network that stayed at chance is a row of the tables.
GOES_ON := test $$? = 65
ABLATED_2012 := no-norm non-overlapping-pooling tanh without-conv3 without-conv4 without-conv5 no-color-shift \
  no-dropout no-crops no-weight-decay
CIFAR_NETS := cifar-18pct cifar-13pct cifar-13pct-norm cifar-11pct
OPEN := without-conv4 without-conv4-wider without-conv3-conv4 without-conv3-conv4-wider extra-conv-narrower half-full \
  without-fc7 batch-norm no-norm ungrouped half-images half-width quarter-width
OPEN_OPTIONS := --base as-run-2012 --store stores128 --epochs 30 --set network.input_px=112 \
  --set augmentation.stored_px=128 --set augmentation.last_offset_px=16 --set training.precision=bf16
MINIATURE_SAID := This is the built-in miniature, 20 classes of drawn textures, and the trainings are short.
RUN_OF := $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["run"])'

.DEFAULT_GOAL := help
.PHONY: help setup simd test test-fast test-long test-pins cases check fix docs site lock reproduce-table1 reproduce-table2 \
  reproduce-ablations reproduce-figures reproduce-figure1 reproduce-cifar reproduce-open-questions reproduce-all \
  gpu-check named-tiny-imagenet clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

setup: ## Create .venv from the lock file; undoes `make simd`
	@test ! -d $(SIMD) || rm -f $(STAMP)
	@$(MAKE) --no-print-directory $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'alexrepro needs Python 3.11 or newer; name one with: make setup PYTHON=python3.12'; exit 78; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test ! -d $(SIMD) || { $(PIP) uninstall --yes pillow-simd && rm -r $(SIMD); }
	@echo 'Installing torch and the other packages into .venv: about 5 GB, some minutes.' >&2
	$(BIN)/python -m pip --disable-pip-version-check install --progress-bar on --require-hashes -r requirements.lock
	$(PIP) install --no-build-isolation --no-deps -e .
	touch $@

simd: $(STAMP) ## Swap Pillow for pillow-simd (builds it: needs gcc and the headers of libjpeg and zlib)
	grep ^pybind11 requirements-simd.txt | $(PIP) install --require-hashes -r /dev/stdin
	CC="cc$(shell grep -qs avx2 /proc/cpuinfo && echo ' -mavx2')" $(PIP) wheel --require-hashes --no-deps \
	  --no-build-isolation --no-cache-dir -w $(SIMD) -r requirements-simd.txt
	$(PIP) uninstall --yes pillow
	$(PIP) install --no-index --no-deps --force-reinstall $(SIMD)/pillow_simd-*.whl
	@$(BIN)/python -c 'from PIL import features; print("pillow-simd", features.version("pil"), \
	  "is in the place of Pillow;", \
	  "it has" if features.check("webp") else "without the headers of libwebp it has no", "WebP.")'
	@echo 'Bring Pillow back with: make setup'

reproduce-table1: $(STAMP) ## Table 1, on ILSVRC2010=/path or else on the built-in miniature
ifndef ILSVRC2010
	@echo 'No ILSVRC2010=/path was given: this is the built-in miniature, 20 classes of drawn textures.' >&2
endif
	$(ALEXREPRO) prepare '$(or $(ILSVRC2010),miniature)'
	run="$$($(ALEXREPRO) train $(RECIPE) --store $(DATASET) --json | $(RUN_OF))" && \
	  $(ALEXREPRO) evaluate "$$run" --ten-crop
	$(ALEXREPRO) report table-1

reproduce-table2: $(STAMP) ## Table 2, on ILSVRC2012=/path (five trainings) or else on the built-in miniature
	@test -n '$(ILSVRC2012)' || echo 'No ILSVRC2012=/path was given. $(MINIATURE_SAID)' >&2
	$(ALEXREPRO) prepare '$(or $(ILSVRC2012),miniature)'
	set -e; runs=; for seed in $(SEEDS_2012); do \
	  run="$$($(ALEXREPRO) train $(RECIPE_2012) --store $(DATASET_2012) --seed $$seed --json | $(RUN_OF))"; \
	  $(ALEXREPRO) evaluate "$$run" --ten-crop; runs="$$runs $$run"; done; \
	$(ALEXREPRO) evaluate $$runs --ten-crop
	$(ALEXREPRO) report table-2

reproduce-ablations: $(STAMP) ## Ablations and claims, on ILSVRC2010=/path and ILSVRC2012=/path or the miniature
ifdef ILSVRC2010
	$(ALEXREPRO) prepare '$(ILSVRC2010)'
	$(ALEXREPRO) ablate one-tower --base as-run-2010 --store ilsvrc2010 || $(GOES_ON)
endif
ifdef ILSVRC2012
	$(ALEXREPRO) prepare '$(ILSVRC2012)'
	$(ALEXREPRO) ablate $(ABLATED_2012) --base as-run-2012 --store ilsvrc2012 || $(GOES_ON)
endif
ifeq ($(ILSVRC2010)$(ILSVRC2012),)
	@echo 'Neither ILSVRC2010=/path nor ILSVRC2012=/path was given. $(MINIATURE_SAID)' >&2
	$(ALEXREPRO) prepare miniature
	$(ALEXREPRO) ablate one-tower no-norm --base tiny --store ilsvrc2010-miniature $(SHORT)
endif
	$(ALEXREPRO) report ablations
	$(ALEXREPRO) report claims

reproduce-figures: $(STAMP) ## Figures 1 to 4 and training curves, on ILSVRC2010=/path or the miniature
	@test -n '$(ILSVRC2010)' || echo 'No ILSVRC2010=/path was given. $(MINIATURE_SAID)' >&2
	$(ALEXREPRO) prepare '$(or $(ILSVRC2010),miniature)'
	run="$$($(ALEXREPRO) train $(RECIPE) $(if $(ILSVRC2010),,$(SHORT)) --store $(DATASET) --json | $(RUN_OF))" && \
	  $(ALEXREPRO) features "$$run"
ifndef ILSVRC2010
	$(ALEXREPRO) ablate tanh --base tiny --store $(DATASET) $(SHORT)
endif
	for name in figure-1 figure-2 figure-3 figure-4 training-curves; do $(ALEXREPRO) report $$name || exit; done

reproduce-figure1: $(STAMP) ## Figure 1 on CIFAR-10 (one seed of reading A), from CIFAR10=/path or stores that are there
	$(if $(CIFAR10),$(ALEXREPRO) prepare '$(CIFAR10)')
	$(ALEXREPRO) train figure-1-relu --store cifar10
	$(ALEXREPRO) train figure-1-tanh --store cifar10
	$(ALEXREPRO) report figure-1

reproduce-cifar: $(STAMP) ## The networks of 18, 13 and 11 % on CIFAR-10 and the test of the norms, from CIFAR10=/path; days
	$(if $(CIFAR10),$(ALEXREPRO) prepare '$(CIFAR10)')
	set -e; for name in $(CIFAR_NETS); do \
	  run="$$($(ALEXREPRO) train $$name --store cifar10 --json | $(RUN_OF))"; \
	  $(ALEXREPRO) evaluate "$$run" --ten-crop; done
	$(ALEXREPRO) report cifar

named-tiny-imagenet:
	@test -n '$(TINY_IMAGENET)' || { echo 'Name the images: make reproduce-open-questions TINY_IMAGENET=/path/tiny-imagenet-200' >&2; exit 64; }

reproduce-open-questions: named-tiny-imagenet $(STAMP) ## Depth against width and others, on TINY_IMAGENET=/path, on the CPU; days, resumable
	$(ALEXREPRO) prepare '$(TINY_IMAGENET)' --side 128 --out stores128
	$(BIN)/python benchmarks/ablate_side_by_side.py $(OPEN) $(OPEN_OPTIONS) --seeds 0 1 --side-by-side 2
	$(ALEXREPRO) ablate $(OPEN) $(OPEN_OPTIONS) --seeds 2 || $(GOES_ON)
	$(ALEXREPRO) report depth-and-width

reproduce-all: reproduce-table1 reproduce-table2 reproduce-ablations reproduce-figures ## Everything, and one page
	$(ALEXREPRO) report --page

test: $(STAMP) ## The test suite
	$(PYTEST) -m "not long and not pins"

test-fast: $(STAMP) ## The test suite without its slow tests
	$(PYTEST) -m "not slow and not long and not pins"

test-long: $(STAMP) ## The tests that take minutes: hundreds of kills, long trainings
	$(BIN)/python -m pytest -m long

test-pins: $(STAMP) ## Change what each row of the ledger states, and expect one of its tests to fail; half an hour
	$(PYTEST) -m pins tests/pins

cases: $(STAMP) ## Data, disks, clusters and checkpoints as people have them, a line for each
	$(BIN)/python tests/cases/run.py

gpu-check: ## Is the training step correct and fast on this GPU? Nine minutes; writes docs/results/gpu-NAME.md
	PYTHONPATH=src $(PYTHON) -m benchmarks.gpu_check $(GPU_CHECK)

check: $(STAMP) ## Formatting, lint, types, architecture, fresh docs, spelling
	$(BIN)/ruff format --check src tests docs benchmarks
	$(BIN)/ruff check src tests docs benchmarks
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m "not long and not pins" tests/test_architecture.py tests/docs
	$(BIN)/python docs/generate.py --check
	$(BIN)/codespell src tests docs README.md CHANGELOG.md

fix: $(STAMP) ## Format and repair what can be repaired
	$(BIN)/ruff check --fix src tests docs benchmarks
	$(BIN)/ruff format src tests docs benchmarks

site: $(STAMP) ## The documentation as a site in build/site; installs the extra `docs`
	$(PIP) install --no-build-isolation -e '.[docs]'
	$(BIN)/python docs/site.py build/pages
	$(BIN)/zensical build --strict
	@echo 'Open build/site/index.html.'

docs: $(STAMP) ## Write the generated pages anew
	$(BIN)/python docs/generate.py

lock: ## Resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --custom-compile-command 'make lock' --upgrade -o requirements.lock

clean: ## Remove the environment and caches, never stores or runs
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
