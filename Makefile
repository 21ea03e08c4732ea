# Everything a newcomer needs: `make demo`, `make test`, `make dev`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MEDKG_HOME ?= $(CURDIR)/.medkg
DAGSTER_HOME ?= $(MEDKG_HOME)/dagster
HOST ?= 127.0.0.1
PORT ?= 3000
PYTEST_ARGS ?=
EVAL_ARGS ?=
# One test process more than cores, as what takes long often waits; 0 runs the tests in one, for a debugger.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 1)' 2>/dev/null || echo auto)
SHARED := --dist loadfile --no-loadscope-reorder
PYTHONS ?= 3.11 3.12 3.13
# By `make soak`: of each phase in the tests, then of processes of a deployment, and crashes at write points.
KILLS ?= 10
PROCESS_KILLS ?= 100
CRASHES ?= 1000
# By `make test-deploy`: docker or podman, and what else its `build` is told.
ENGINE ?= docker
ENGINE_ARGS ?=
# Tests have folders of their own.
CLEAN := -u MEDKG_HOME -u DAGSTER_HOME -u PYTHONDONTWRITEBYTECODE
# What the image of containers has, at the versions that are tested.
LOCK_IMAGE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
  --no-emit-find-links --generate-hashes --constraint requirements.lock
IMAGE_EXTRAS := --extra ui --extra postgresql --extra serve --extra docx --extra celery --extra k8s
export MEDKG_HOME DAGSTER_HOME
export DAGSTER_DISABLE_TELEMETRY := 1

.PHONY: help install demo demo-pdf test lint types contracts docs pytest coverage test-pythons test-cluster test-deploy test-manifests soak dev bench eval eval-parse lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## Create the virtual environment and install the locked dependencies

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "medkg_dagster needs Python 3.11 or later; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(DAGSTER_HOME)/dagster.yaml: config/dagster.yaml
	@mkdir -p $(DAGSTER_HOME)
	@cp $< $@

demo: $(INSTALLED) $(DAGSTER_HOME)/dagster.yaml ## Run the main job on the bundled corpus and show what it made
	@$(BIN)/medkg run auto
	@$(BIN)/medkg summary

demo-pdf: $(INSTALLED) $(DAGSTER_HOME)/dagster.yaml ## Download, convert and index PDFs in two phases, from loopback
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python scripts/demo_pdf.py

test: $(INSTALLED) lint contracts docs ## Everything that must be green
	@$(MAKE) --no-print-directory -j 2 types pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

contracts: $(INSTALLED)
	$(BIN)/lint-imports

docs: $(INSTALLED) ## Build the documentation into site/
	$(BIN)/python scripts/pipeline_reference.py --check
	$(BIN)/python -m mkdocs build --strict --quiet

# The order of sets is the same at every run, as all else that tests draw; the processes they start find their modules compiled.
# Tests of one file, which share what is costly to make, stay in one process; `conftest.py` has those that take long first.
pytest: $(INSTALLED)
	env $(CLEAN) PYTHONHASHSEED=0 $(BIN)/python -m pytest -n $(WORKERS) $(SHARED) $(PYTEST_ARGS)

coverage: $(INSTALLED) ## Run the tests under coverage and list what no test runs
	rm -f .coverage .coverage.*
	env $(CLEAN) $(BIN)/python -m coverage run -m pytest -n 0 $(PYTEST_ARGS)
	$(BIN)/python -m coverage report

# Each has an environment of its own; one that is missing is an error, told before any of them runs.
test-pythons: ## Run the tests on every supported Python
	@for version in $(PYTHONS); do \
	  python$$version -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' $$version || \
	  { echo "python$$version is missing; install it, or name those there are: make test-pythons PYTHONS=3.12" >&2; exit 1; }; \
	done
	@for version in $(PYTHONS); do \
	  echo "Python $$version"; \
	  $(MAKE) --no-print-directory pytest PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	done

test-deploy: $(INSTALLED) ## Build the image of deploy/docker, run its services, and look at them; ENGINE=podman
	$(ENGINE) build $(ENGINE_ARGS) --file deploy/docker/Dockerfile --tag medkg-dagster:0.1.0 .
	$(BIN)/python scripts/try_containers.py $(ENGINE)

# In an environment of its own, as the schemas of all versions of Kubernetes are a hundred megabytes.
test-manifests: $(INSTALLED) ## Check deploy/kubernetes against the schemas of Kubernetes; needs kubectl
	$(PYTHON) -m venv .venv-manifests
	.venv-manifests/bin/pip install --quiet --disable-pip-version-check kubernetes-validate==1.37.0
	.venv-manifests/bin/python scripts/check_manifests.py

# A seed that is named repeats what was drawn by it, except for the examples of Hypothesis, which prints how to repeat one.
soak: $(INSTALLED) ## Draw other examples, seeds and moments of kills than `make test`, for hours
	@seed=$${MEDKG_TEST_SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; echo "MEDKG_TEST_SEED=$$seed"; \
	env $(CLEAN) MEDKG_TEST_SEED=$$seed MEDKG_TEST_KILLS=$(KILLS) $(BIN)/python -m pytest \
	  -n $(WORKERS) $(SHARED) --timeout 3600 --hypothesis-profile soak -m "hypothesis or chance" $(PYTEST_ARGS) && \
	env $(CLEAN) $(BIN)/python scripts/soak_kills.py --seed $$seed --kills $(PROCESS_KILLS) --crashes $(CRASHES) && \
	env $(CLEAN) $(BIN)/python scripts/soak_documents.py --seed $$seed --crashes $(CRASHES)

# Ten minutes: PostgreSQL, Redis, two workers of Celery, code server, daemon and webserver, each a process of its own.
test-cluster: $(INSTALLED) ## Run 40 jobs on Celery and PostgreSQL, kill a worker, restart the database, compare
	env $(CLEAN) $(BIN)/python scripts/cluster.py

dev: $(INSTALLED) $(DAGSTER_HOME)/dagster.yaml ## Open the Dagster UI (webserver and daemon) on loopback
	@$(BIN)/python scripts/dev.py $(HOST) $(PORT)

bench: $(INSTALLED) ## Measure the figures the documentation states, as ratios side by side
	env $(CLEAN) $(BIN)/python -m benchmarks

eval: $(INSTALLED) ## Measure what documents keep and what is found in them, against gold corpora
	env $(CLEAN) $(BIN)/python -m evaluation $(EVAL_ARGS)

eval-parse: $(INSTALLED) ## Measure how much of real and of made documents parsing keeps
	env $(CLEAN) $(BIN)/python -m evaluation jats studies pdf pages

lock: $(INSTALLED) ## Resolve the dependencies anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links --upgrade --extra ui --extra postgresql --extra celery --extra k8s --group dev pyproject.toml -o requirements.lock
	$(LOCK_IMAGE) $(IMAGE_EXTRAS) pyproject.toml -o deploy/docker/requirements.lock
	echo hatchling | $(LOCK_IMAGE) - -o deploy/docker/build.lock

clean: ## Remove the virtual environment and caches, never data
	rm -rf $(VENV) .venv-3.* .venv-manifests .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
