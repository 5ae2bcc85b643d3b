SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
# Hundreds of processes would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --constraint constraints.txt
FORMATS := $(patsubst %/setup.py,%,$(wildcard formats/*/setup.py))
PACKAGING := setup.py pyproject.toml constraints.txt repoman/__init__.py

# Two test processes for each processor, since tests wait for servers, clients and disks. They take
# tests in the order of tests/conftest.py. PYTEST_ARGS="-n 0 -k push" selects tests.
PYTEST_ARGS ?=
WORKERS := $(shell echo $$((2 * $$(nproc))))
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)
# A fixed order and fixed examples, so that the gate of a change does not fail by chance.
GATE := --randomly-seed=1
# BENCH_ARGS="--quick" or "--only pulls".
BENCH_ARGS ?=

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) \
		| sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

.PHONY: run
run: $(VENV)/run.stamp ## Start the server with its data in ./data
	@exec $(BIN)/repoman serve --config conf/repoman.toml --data data

.PHONY: test
test: programs $(VENV)/dev.stamp ## Run all tests, including those with the real docker and skopeo
	$(PYTEST) $(GATE)

.PHONY: unit
unit: $(VENV)/dev.stamp ## Run the tests that need no other program, in less than a minute
	QUICK=1 $(PYTEST) $(GATE) -m "not slow" tests/unit tests/contract \
		$(filter-out %_docs.py,$(wildcard tests/test_*.py)) formats

.PHONY: fuzz
fuzz: $(VENV)/dev.stamp ## Run tests of random or very many examples for longer
	FUZZ=1 $(PYTEST) --timeout 3600 $$(grep -rlE 'import.* given|tests.examples import' tests formats --include='test_*.py')

.PHONY: lint
lint: $(VENV)/dev.stamp ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV)/dev.stamp ## Check the types
	$(BIN)/mypy

.PHONY: docs
docs: $(VENV)/dev.stamp ## Check that the documentation matches the code
	$(BIN)/python -m pytest -n 0 -q tests/test_docs.py

.PHONY: audit
audit: $(VENV)/audit.stamp ## Check the pinned packages for known vulnerabilities (needs the internet)
	$(VENV)/audit/bin/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

.PHONY: api
api: $(VENV)/dev.stamp ## Make docs/rest_api.md from the models of the REST API
	$(BIN)/python -m tests.rest_docs

.PHONY: pictures
pictures: programs $(VENV)/dev.stamp ## Take the pictures of docs/web.md
	$(BIN)/python -m tests.pictures

.PHONY: bench
bench: programs $(VENV)/dev.stamp ## Run the benchmarks against other servers
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

.PHONY: check
check: lint types test docs ## Run everything that must pass before a change is merged

.PHONY: format
format: $(VENV)/dev.stamp ## Format the code
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

.PHONY: wheel
wheel: $(BIN)/python ## Build the wheel in ./dist
	rm -rf build dist/repoman_server-*  # modules that are gone since, and former versions
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

.PHONY: clean
clean: ## Remove build results; ./data is kept
	rm -rf $(VENV) build dist *.egg-info formats/*/*.egg-info formats/*/build
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis

# --- What the targets above need ---------------------------------------------------------------

# The programs that the tests and the benchmarks run, and their Debian packages.
PROGRAMS := docker dockerd skopeo podman curl slapd ldapadd chromium nginx wrk systemd-analyze mvn
PACKAGES := docker.io skopeo podman curl slapd ldap-utils chromium nginx wrk systemd maven
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo -n)

# $(call debian,condition,packages): install Debian packages unless the condition holds.
define debian
	@if ! ( $(1) ) >/dev/null 2>&1; then \
		install="apt-get install --yes --no-install-recommends $(2)"; \
		$(SUDO) true 2>/dev/null \
			|| { echo "Debian packages are missing. Run this, then run make again:  sudo $$install" >&2; exit 1; }; \
		export DEBIAN_FRONTEND=noninteractive; \
		$(SUDO) apt-get update --quiet && $(SUDO) $$install; \
	fi
endef

.PHONY: programs
programs: $(BIN)/docker-registry
	$(call debian,for each in $(PROGRAMS); do PATH=$$PATH:/usr/sbin command -v $$each || exit 1; done,$(PACKAGES))
	@$(MAKE) --keep-going $(CLIENTS) || for each in $(CLIENTS); do test -e $$each \
		|| echo "$$(dirname $$each) cannot be installed here; tests that need it are skipped." >&2; done

# Clients of indexes of Python packages, other servers of them, and real packages for these.
PYTHON_CLIENTS := pip uv twine poetry
PYTHON_INDEXES := devpi-server pypiserver
PYTHON_PACKAGES := requests flask rich attrs packaging python-dateutil tomli platformdirs pluggy

PYTHON_PROGRAMS := $(addprefix $(VENV)/python-,$(addsuffix /complete,clients indexes packages))
CLIENTS := $(PYTHON_PROGRAMS) $(VENV)/npm/clients.stamp

.PHONY: python-programs
python-programs: $(PYTHON_PROGRAMS)

$(VENV)/python-clients/complete: | $(BIN)/python
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade $(PYTHON_CLIENTS)
	touch $@

$(VENV)/python-indexes/complete: | $(BIN)/python
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet $(PYTHON_INDEXES)
	touch $@

$(VENV)/python-packages/complete: | $(VENV)/python-clients/complete
	$(VENV)/python-clients/bin/python -m pip download --quiet --dest $(@D) $(PYTHON_PACKAGES)
	touch $@

# Only the program: the package would start a registry on a port that we use.
$(BIN)/docker-registry: | $(BIN)/python
	@mkdir -p $(VENV)/debian
	cd $(VENV)/debian && { apt-get download docker-registry 2>/dev/null \
		|| { $(SUDO) apt-get update --quiet && apt-get download docker-registry; }; }
	dpkg-deb --fsys-tarfile $(VENV)/debian/docker-registry_*.deb | tar -xO ./usr/bin/docker-registry > $@.part
	chmod +x $@.part && mv $@.part $@

# Clients of npm repositories, and Verdaccio. Their scripts would download more. Where no registry
# can be reached, this ends within half a minute; by default it would be several.
$(VENV)/npm/clients.stamp: tests/npm/package.json | $(BIN)/python
	$(call debian,command -v node && command -v npm,nodejs npm)
	@mkdir -p $(@D) && cp $^ $(@D)/
	npm install --prefix $(@D) --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel error \
		--fetch-retry-mintimeout 1000 --fetch-retry-maxtimeout 3000
	@touch $@

$(BIN)/python:
	$(call debian,$(PYTHON) -c "import ensurepip",python3-venv)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is required.")'
	$(PYTHON) -m venv $(VENV)

# It has its own environment, so that its dependencies do not mix with those it checks.
$(VENV)/audit.stamp: | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet pip-audit
	@touch $@

$(VENV)/run.stamp: $(PACKAGING) | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/dev.stamp: $(PACKAGING) $(FORMATS:=/setup.py) | $(BIN)/python
	$(PIP) --editable '.[dev]' $(FORMATS:%=--editable ./%)
	@touch $@ $(VENV)/run.stamp
