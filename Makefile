# Every target makes what it needs: a machine with git, make and Python 3.11 or newer is enough.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?=
VENV ?= .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check install --quiet --upgrade
ARGS ?=

.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.demo ## Show a mystery, then solve it
	$(VENV)/bin/obskit demo $(ARGS)

# Most tests wait for processes: two of them share the time. A file stays in one process.
.PHONY: test
test: $(VENV)/.test ## Run all tests (ARGS="-k name" for some)
	$(RUN) -m pytest -n 2 --dist loadfile $(ARGS)

.PHONY: test-all-pythons
test-all-pythons: ## Run all tests on every Python >= 3.11 that is found
	@pythons="$$(scripts/pythons)" && echo "$$pythons" | while read -r version python; do \
	  echo "== Python $$version"; \
	  $(MAKE) --no-print-directory test PYTHON="$$python" VENV=".venv-$$version" < /dev/null || exit 1; \
	done

.PHONY: test-oldest
test-oldest: ## Run all tests with the oldest supported version of every dependency
	@$(MAKE) --no-print-directory VENV=.venv-oldest PYTHON="$$(scripts/pythons | awk 'END { print $$2 }')" \
	  test-in-oldest

# The oldest Starlette leaves streams open.
.PHONY: test-in-oldest
test-in-oldest: $(VENV)/.oldest
	$(RUN) -m pytest -n 2 --dist loadfile --deselect tests/scripts/test_notices.py \
	  -W 'ignore:Unclosed <MemoryObject:ResourceWarning' $(ARGS)

.PHONY: lint
lint: $(VENV)/.lint ## Check style, types and the direction of imports
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-cache

.PHONY: bench
bench: .venv-bench/.bench ## Measure against the floor and the peers (ARGS="line request" for some)
	.venv-bench/bin/python -m benchmarks $(ARGS)

.PHONY: faults
faults: .venv-bench/.bench ## Measure what arrives of logs when things go wrong (ARGS="--who NAME")
	.venv-bench/bin/python -m benchmarks.faults $(ARGS)

.PHONY: services
services: ## Install the real servers that tests use (Debian packages, Maven artifacts)
	scripts/services install

.PHONY: clean
clean: ## Remove the virtual environments and caches
	rm -rf .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist

$(VENV)/.made:
	python="$(PYTHON)"; \
	  python="$${python:-$$(scripts/pythons --newest)}" && "$$python" -m venv --clear $(VENV)
	$(PIP) "pip>=25.1"
	touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.made
	$(PIP) --editable '.[demo]'
	touch $@

$(VENV)/.oldest: pyproject.toml | $(VENV)/.made
	$(PIP) packaging
	$(RUN) scripts/oldest > $(VENV)/oldest.txt
	$(PIP) --constraint $(VENV)/oldest.txt --editable '.[demo]' --group test
	touch $@

$(VENV)/.lint $(VENV)/.test: $(VENV)/.%: pyproject.toml | $(VENV)/.made
	$(PIP) --editable '.[demo]' --group $*
	touch $@

# The peers bring plugins of their own: they stay out of the environment of the tests.
.venv-bench/.bench: pyproject.toml
	$(MAKE) --no-print-directory VENV=.venv-bench .venv-bench/.made
	.venv-bench/bin/python -m pip --disable-pip-version-check install --quiet --upgrade --editable '.[demo]' --group bench
	touch $@
