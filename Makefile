# Kandle's entry points. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# uv creates the environment from the lock file (hashes checked). It is used from PATH if present,
# otherwise installed into a virtual environment under .uv/.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := 1
export UV_COMPILE_BYTECODE := 1
# Otherwise each of hundreds of processes would compile our code, and each test run its own.
export PYTHONDONTWRITEBYTECODE :=
PYTHON ?= python3
STAMP := .venv/.kandle-setup
RUNTIME := .venv/.kandle-runtime
RUN := $(UV) run --frozen --no-sync
ARGS ?=
WORKERS ?= 4

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Kandle needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "uv is not on PATH: installing it into .uv/"
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'

$(STAMP): pyproject.toml uv.lock $(if $(findstring .uv/,$(UV)),.uv/bin/uv)
	@echo "setting up the environment in .venv (locked, hashes checked)"
	@$(UV) sync --frozen --all-extras --group docs --quiet
	@touch $@ $(RUNTIME)

setup: $(STAMP) ## create the development environment from the lock file

# Only what `kandle up` needs: no development tools, no precompiled bytecode.
$(RUNTIME): pyproject.toml uv.lock $(if $(findstring .uv/,$(UV)),.uv/bin/uv)
	@echo "setting up what runs Kandle in .venv (locked, hashes checked)"
	@UV_COMPILE_BYTECODE=0 $(UV) sync --frozen --no-dev --extra local --inexact --quiet
	@touch $@

# The dashboard. Node.js is installed as a wheel into a temporary environment; npm installs the
# dependencies locked in dashboard/package-lock.json.
PAGE := functions/live_feed/dashboard/index.html
NPM := NPM_CONFIG_UPDATE_NOTIFIER=false $(UV) run --isolated --frozen --only-group page --quiet npm --prefix dashboard
PAGE_SOURCES := $(wildcard dashboard/*.json dashboard/*.html dashboard/*.ts dashboard/src/* dashboard/src/*/* dashboard/reference/*)
NODE_MODULES := dashboard/node_modules/.kandle-setup

$(NODE_MODULES): dashboard/package.json dashboard/package-lock.json $(if $(findstring .uv/,$(UV)),.uv/bin/uv)
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(PAGE): $(PAGE_SOURCES)
	@$(MAKE) --no-print-directory $(NODE_MODULES)
	@echo "building the dashboard"
	@$(NPM) run --silent build -- --logLevel warn

dashboard: $(PAGE) ## build the dashboard (needs the npm registry once)

# Everything else runs without the dashboard, so a failure is only reported.
page-if-possible:
	@$(MAKE) --no-print-directory dashboard || echo "the dashboard was not built (the npm registry is needed once): everything else runs; try again with 'make dashboard'"

demo: $(RUNTIME) ## run the whole pipeline with simulated ticks (SECONDS=60 to stop by itself)
	@[ -e $(NODE_MODULES) ] || { $(MAKE) --no-print-directory page-if-possible; rm -rf dashboard/node_modules; }
	@$(RUN) kandle demo $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

test: $(STAMP) page-if-possible ## run every test, over real servers (WORKERS=4)
	@$(RUN) pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: $(STAMP) ## run the tests that start no process, for the inner loop
	@$(RUN) pytest -n 3 -m "not processes" --ignore tests/e2e $(ARGS)

check: $(STAMP) $(PAGE) $(NODE_MODULES) ## what CI runs: lint, types, generated code, tests
	@$(MAKE) --no-print-directory -j 2 -O lint types proto-check dashboard-test
	@$(MAKE) --no-print-directory test

dashboard-test: $(PAGE) $(NODE_MODULES) ## type check and unit tests of the dashboard
	@$(NPM) run --silent check && $(NPM) run --silent test

lint: $(STAMP) ## ruff: style, imports, likely bugs, formatting; vulture: dead code
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) vulture

types: $(STAMP) ## mypy --strict
	@$(RUN) mypy

proto: $(STAMP) ## generate shared/schema/*_pb2.py from the .proto files
	@$(RUN) python -m shared.schema.generate

proto-check: $(STAMP)
	@$(RUN) python -m shared.schema.generate --check

chaos: $(STAMP) ## kill, pause and disconnect everything at random under load (KILLS=50 SECONDS=900 SEED= OUTAGE=60 REPLICAS=2)
	@$(RUN) python -m tests.chaos $(foreach each,KILLS SECONDS SEED OUTAGE STORES HOW REPLICAS,$(if $($(each)),--$(shell tr A-Z a-z <<< $(each)) $($(each)))) $(ARGS)

exchange: $(STAMP) ## a simulated exchange, for --feed without internet (ARGS="kraken:BTC/USD --faults 20")
	@$(RUN) python -m tests.exchanges $(ARGS)

bench: $(STAMP) ## measure on this machine: chain, live, reads, storage ...
	@$(RUN) python -m benchmarks $(ARGS)

deploy: ## deploy to the current cluster of kubectl: IMAGE=REG/kandle:TAG [FUNCTION=persist] [OVERLAY=dev|prod|small]
	@IMAGE='$(IMAGE)' FUNCTION='$(FUNCTION)' OVERLAY='$(OVERLAY)' knative/deploy.sh

move: ## switch between the overlays dev and small, in place: IMAGE=REG/kandle:TAG OVERLAY=dev|small
	@IMAGE='$(IMAGE)' OVERLAY='$(OVERLAY)' knative/move.sh

services: $(STAMP) ## generate the Services, the chart and everything else from func.yaml and the overlays
	@$(RUN) python -m local.manifests

reference: $(STAMP) ## generate docs/history-api.md and docs/indicators.md
	@$(RUN) python -m functions.history_query.api.reference > docs/history-api.md
	@$(RUN) python -m functions.history_query.queries.indicator_list > docs/indicators.md

docs: $(STAMP) ## build the documentation site into dist/docs: links checked, without internet
	@NO_MKDOCS_2_WARNING=1 $(RUN) python -m mkdocs build --quiet
	@echo "dist/docs/index.html; with its search: $(RUN) python -m http.server -d dist/docs"

manifests: $(STAMP) ## check every manifest: schemas, builds, and consistency with the code
	@$(RUN) pytest -rs tests/knative tests/test_manifests.py tests/local/manifests $(ARGS)

audit: $(STAMP) ## check dependencies for known vulnerabilities, and write an SBOM to dist/ (needs the network)
	@mkdir -p dist
	@$(UV) export --frozen --quiet --no-dev --all-extras --no-emit-project --output-file dist/requirements.txt >/dev/null
	@$(UV) run --no-project --quiet --with 'cyclonedx-bom>=7,<8' cyclonedx-py requirements --output-reproducible --output-file dist/kandle.cdx.json dist/requirements.txt
	@echo "SBOM: dist/kandle.cdx.json"
	@$(UV) run --no-project --quiet --with 'pip-audit>=2.9,<3' pip-audit --strict --require-hashes --disable-pip --requirement dist/requirements.txt

# The version is that of pyproject.toml. IMAGE=REG/kandle also builds and tags the image.
VERSION = $(shell $(UV) version --short --frozen)
release: $(STAMP) $(PAGE) ## build sdist, wheel and notes, and run them in empty environments; IMAGE=REG/kandle: also image and manifests
	@rm -rf dist && $(UV) build --quiet --out-dir dist
	@$(RUN) python -m local.manifests.release $(VERSION) $(IMAGE)
	@$(RUN) python -m tests.release dist/kandle-$(VERSION)-py3-none-any.whl $(ARGS)
	@$(if $(IMAGE),docker buildx build -f knative/Containerfile -t $(IMAGE):v$(VERSION) -t $(IMAGE):latest .,echo "image: make release IMAGE=REG/kandle tags REG/kandle:v$(VERSION) and :latest, and writes dist/kandle-OVERLAY.yaml")

clean: ## remove environment, caches and local data
	rm -rf functions/live_feed/dashboard functions/history_query/api/docs_page dashboard/node_modules
	rm -rf .venv .uv .kandle .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup dashboard page-if-possible dashboard-test demo test test-fast check lint types proto proto-check chaos exchange bench deploy move services reference docs manifests audit release clean
