# Every task of this repository. CI calls only these targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := operator tests images demo gitops charts
# The local cluster needs nothing but the standard library, so it also works before `make setup`.
CLUSTER_TOOL := PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m cluster
# Says how long a command took, and keeps it for the list at the end of `make test`.
SUITE := tests/suite
# On all cores: where no other make has shared them out already.
SIDE_BY_SIDE = $(if $(findstring --jobserver,$(MAKEFLAGS)),,--jobs=2 --output-sync=target)
PYTEST_ON_ALL_CORES := $(BIN)/pytest -q --numprocesses=auto --maxprocesses=4 --dist=worksteal

.PHONY: help
help: ## Print this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

# ---------------------------------------------------------------------------- the working tree

.PHONY: setup
setup: $(VENV)/.installed ## Make .venv with the locked versions of everything

$(VENV)/.installed: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=/path/to/it")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || tests/cluster/install-packages python3-venv
	@echo "making $(VENV) with the locked packages"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: setup ## Renew the locked versions: requirements/*.lock from pyproject.toml, and those of the images
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header pyproject.toml --extra operator --output-file requirements/runtime.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header pyproject.toml --extra operator --group dev --output-file requirements/dev.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --group bench --constraint requirements/dev.lock --output-file requirements/bench.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --group fuzz --constraint requirements/dev.lock --output-file requirements/fuzz.lock
	echo hatchling | $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate --constraint requirements/dev.lock --output-file requirements/build.lock -
	for image in elt-demo elt-tools; do (cd images/$$image && ../../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --output-file requirements.lock requirements.in); done

.PHONY: fmt
fmt: setup ## Format the code
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix --quiet $(SOURCES)

.PHONY: lint
lint: setup ## Check style and format
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/yamllint --strict .

.PHONY: types
types: setup ## Check types
	$(BIN)/mypy --no-error-summary $(SOURCES)

.PHONY: imports
imports: setup ## Check that the layers import downwards only
	$(BIN)/lint-imports --no-cache

.PHONY: unit
unit: setup ## Run the tests that need no cluster
	$(PYTEST_ON_ALL_CORES) tests/unit tests/contract

.PHONY: check
check: setup ## All of the above, changing nothing
	@$(SUITE) check $(MAKE) --no-print-directory $(SIDE_BY_SIDE) unit types lint imports

# ---------------------------------------------------------------------------- the test cluster

.PHONY: cluster-up
cluster-up: ## Start the cluster (CLUSTER=local, kind or existing; chosen by itself when unset)
	@$(CLUSTER_TOOL) up

.PHONY: cluster-down
cluster-down: ## Take the cluster down; nothing of it stays
	@$(CLUSTER_TOOL) down

.PHONY: cluster-status
cluster-status: ## Say what of the cluster is running
	@$(CLUSTER_TOOL) status

.PHONY: kubeconfig
kubeconfig: ## Print the path of the cluster's kubeconfig (make -s kubeconfig)
	@$(CLUSTER_TOOL) kubeconfig

.PHONY: load-image
load-image: ## Load an OCI archive into the cluster (ARCHIVE=x.tar)
	@$(CLUSTER_TOOL) load-image $(ARCHIVE)

# ---------------------------------------------------------------------------- the chart

.PHONY: chart
chart: setup ## Check the chart and the manifests made of it, with Helm 3 and Helm 4 (the first time it builds both: needs Go)
	@$(SUITE) chart $(PYTEST_ON_ALL_CORES) tests/chart

# ---------------------------------------------------------------------------- generated files

.PHONY: crds
crds: setup ## Make crds/*.yaml from the models, and the chart's copy
	@$(BIN)/python -m elt_operator.resources crds
	@$(BIN)/python -m elt_operator.resources charts/elt-operator/files/crds

.PHONY: manifests
manifests: ## Make manifests/install/*.yaml from the chart (needs Go the first time)
	@helm=$$(tests/chart/tool helm4); for mode in cluster namespaced logs everything; do \
	  made=$$(charts/plain "$$helm" $$mode); echo "$$made" > manifests/install/$$mode.yaml; \
	done

.PHONY: gitops
gitops: setup ## Make the patch for Argo CD from its scripts
	@made=$$($(BIN)/python gitops/argo-cd/generate.py); echo "$$made" > gitops/argo-cd/argocd-cm-patch.yaml

.PHONY: sbom
sbom: setup ## Write what the operator's image is made of (CycloneDX): elt-operator.cdx.json
	@$(BIN)/uv tool run --quiet --from 'cyclonedx-bom==7.5.0' cyclonedx-py requirements requirements/runtime.lock \
	  --pyproject pyproject.toml --output-reproducible --output-format JSON --output-file elt-operator.cdx.json

.PHONY: verify
verify: check crds manifests gitops chart ## Check everything, the chart too, and that generated files are up to date
	@git diff --exit-code -- crds charts/elt-operator/files/crds manifests/install gitops

# ---------------------------------------------------------------------------- on a cluster

# Where the cluster finds the images: its own store, or a registry that CLUSTER=existing can pull from.
IMAGES_FROM ?= localhost

.PHONY: images
images: ## Build the images and load them into the cluster (IMAGES="elt-operator elt-test" for some)
ifeq ($(CLUSTER),existing)
	@echo "CLUSTER=existing: taking the images from $(IMAGES_FROM), where you have put them (docs/cluster.md)"
else
	@$(PYTHON) images/build.py $(IMAGES) | xargs -I '{}' $(MAKE) --no-print-directory load-image ARCHIVE='{}'
endif

.PHONY: reproducible
reproducible: ## Build the operator's image twice from nothing, with buildah, and compare the two
	@$(PYTHON) -m images.reproducible

# The cluster's own kubectl where there is one, and its kubeconfig.
ON_CLUSTER := PATH="$$($(CLUSTER_TOOL) bin):$$PATH" KUBECONFIG="$$($(CLUSTER_TOOL) kubeconfig)"

# What make install starts.
INSTALLED := deployment/elt-operator deployment/elt-operator-api deployment/elt-operator-logs daemonset/elt-operator-log-reader

.PHONY: install
install: ## Install the operator into the cluster, or its newest image
	@for file in crds/*.yaml manifests/install/everything.yaml; do echo ---; cat "$$file"; done \
	  | sed 's|localhost/|$(IMAGES_FROM)/|' | sed "s|path: /var/log/pods|path: $$($(CLUSTER_TOOL) pod-logs)|" \
	  | $(ON_CLUSTER) kubectl apply --server-side --force-conflicts -f -
	@$(ON_CLUSTER) kubectl -n elt-operator rollout restart $(INSTALLED)
	@for one in $(INSTALLED); do $(ON_CLUSTER) kubectl -n elt-operator rollout status "$$one" --timeout=180s; done

.PHONY: run
run: setup ## Run the operator from the working tree against the cluster
	@KUBECONFIG="$$($(CLUSTER_TOOL) kubeconfig)" $(BIN)/elt-operator

.PHONY: demo
demo: ## Set up everything and run the demo: a real ELT run on a real Kubernetes
	@IMAGES_FROM=$(IMAGES_FROM) $(PYTHON) demo/demo.py

.PHONY: ready
ready: ## Have the cluster, the images in it, and the operator
	@$(SUITE) 'cluster, images, operator' $(SHELL) -ec '$(CLUSTER_TOOL) up; \
	  $(MAKE) --no-print-directory images; $(MAKE) --no-print-directory install'

.PHONY: e2e
e2e: ## Run the tests on the cluster, which is brought up if it is not there
	@$(MAKE) --no-print-directory e2e-node
	@$(MAKE) --no-print-directory e2e-pods

# At which endings the operator is killed, and when (tests/e2e/kills.py): others each day.
CRASHES_SEED ?= $(shell date +%Y%m%d)
E2E = $(ON_CLUSTER) IMAGES_FROM=$(IMAGES_FROM) CRASHES_SEED=$(CRASHES_SEED)
# A test that takes minutes is handed out first, and no other one waits behind it.
PYTEST_E2E = $(BIN)/pytest -q tests/e2e --numprocesses=$(1) --maxschedchunk=1

.PHONY: e2e-node
e2e-node: setup ready
	@$(E2E) $(SUITE) 'e2e: the node falls silent' $(BIN)/pytest -q tests/e2e -m serial

.PHONY: e2e-pods
e2e-pods: setup
	@$(E2E) $(SUITE) 'e2e: with the installed operator' $(call PYTEST_E2E,8) -m "not alone and not serial"
	@$(E2E) $(SUITE) 'e2e: with operators that are killed' $(call PYTEST_E2E,6) -m alone

.PHONY: crashes
crashes: setup ready ## Kill the operator at each write in each position, and at a random moment of each ending; for releases
	@seed=$$RANDOM; echo "with CRASHES_SEED=$$seed"; \
	$(E2E) CRASHES_SEED=$$seed CRASHES=all $(SUITE) crashes $(call PYTEST_E2E,3) -m alone -k killed

.PHONY: helm
helm: setup ## Run the chart's life on the cluster with Helm 3 and Helm 4 (the first time it builds both: needs Go; ONLY=helm4 for one)
ifeq ($(CLUSTER),existing)
	$(error make helm deletes the resource types, and with them all Pipelines and Jobs of the cluster; run it with CLUSTER=local or CLUSTER=kind)
endif
	@$(CLUSTER_TOOL) up
	@$(MAKE) --no-print-directory images
	@$(MAKE) --no-print-directory images IMAGES=elt-operator-0.1.0
	@$(ON_CLUSTER) IMAGES_FROM=$(IMAGES_FROM) $(SUITE) 'helm $(ONLY)' $(BIN)/pytest -q tests/helm -k "$(ONLY)"

.PHONY: kueue
kueue: setup ## Run Pipelines in a queue of a real Kueue on the cluster (the first time it builds Kueue: needs Go)
ifeq ($(CLUSTER),existing)
	$(error make kueue installs Kueue, whose webhooks see all pods and batch Jobs of the cluster, and removes it with all that is of its kinds; run it with CLUSTER=local or CLUSTER=kind)
endif
	@$(CLUSTER_TOOL) up
	@$(MAKE) --no-print-directory images IMAGES="elt-operator elt-test"
	@$(MAKE) --no-print-directory install
	@$(ON_CLUSTER) IMAGES_FROM=$(IMAGES_FROM) $(BIN)/pytest -q tests/kueue

.PHONY: record
record: ## Record what the API server says of each ending, for the unit tests (the cluster is up, the operator installed)
	@$(ON_CLUSTER) RECORD_ENDINGS=tests/unit/recorded $(BIN)/pytest -q tests/e2e -k test_a_job_ends -m "not alone" -n 4

.PHONY: record-api
record-api: ## Record answers of the Jobs API, as examples for its description (the cluster is up, the operator installed)
	@$(ON_CLUSTER) IMAGES_FROM=$(IMAGES_FROM) RECORD_API=1 $(BIN)/pytest -q tests/e2e/test_api.py -k examples

.PHONY: bench
bench: $(VENV)/.bench-installed ## Measure the operator beside bare batch Jobs, on a local cluster of its own (ONLY="latency idle" for some; TIMES=3 for more makespans)
	@CLUSTER=local $(ON_CLUSTER) PYTHONPATH=tests $(BIN)/python -m bench $(ONLY) $(addprefix --before=,$(BEFORE)) $(addprefix --times=,$(TIMES))
	@$(CLUSTER_TOOL) down

.PHONY: bench-logs
bench-logs: setup ## Measure what kept logs cost: reader, stored size, door; without a cluster (builds an S3 the first time: needs Go)
	@PYTHONPATH=tests $(BIN)/python -m bench.kept_logs

.PHONY: bench-api
bench-api: setup ready ## Measure the Jobs API on the cluster, with 10,000 and 100,000 Jobs, half an hour (JOBS=10000 for one size)
	@$(ON_CLUSTER) PYTHONPATH=tests $(BIN)/python -m bench.jobs_api $(JOBS)

.PHONY: fuzz-api
fuzz-api: setup $(VENV)/.fuzz-installed ready ## Send the Jobs API what its description allows, and what it does not, as three users; for releases (EXAMPLES=50)
	@$(E2E) $(SUITE) 'fuzz the Jobs API' $(BIN)/pytest -q -rP tests/fuzz

$(VENV)/.fuzz-installed: requirements/fuzz.lock $(VENV)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.lock
	@touch $@

.PHONY: logs
logs: setup ready ## Run the bars of kept logs on the cluster, full size, 40 minutes (TIMES=20 endings, AWAY_SECONDS=300); for releases
	@$(E2E) $(SUITE) 'kept logs' $(BIN)/pytest -q tests/kept_logs

$(VENV)/.bench-installed: requirements/bench.lock $(VENV)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.lock
	@touch $@

.PHONY: record-schedules
record-schedules: setup ## Record when the CronJob controller's library fires in 2026, for the unit tests (needs Go)
	cd tests/cluster/programs && ZONEINFO="$$(../../../$(BIN)/python -c 'import tzdata; print(tzdata.__path__[0])')/zoneinfo" \
	  go run ./crontimes > ../../unit/core/crontimes.json

.PHONY: test
test: ## Run all tests: the fast ones while the cluster comes up, then those on the cluster; with a list of their times
	@$(SUITE) --begin
	@trap '$(SUITE) --list' EXIT; \
	$(MAKE) --no-print-directory --jobs=3 --output-sync=target check e2e-node; \
	$(MAKE) --no-print-directory e2e-pods
