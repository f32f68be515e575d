# One command for each thing one does here. It needs python3 (3.11 or newer), make, and a package index;
# everything else goes into .venv.
#
# make PYTHON=/path/to/python ... builds .venv with that interpreter instead of the first that is new enough

VENV := .venv
RUN := $(VENV)/bin/python
SHARED := -n auto --maxprocesses=4 --dist worksteal
export PYTHONDONTWRITEBYTECODE := # empty: tests start hundreds of programs, each of which would compile agentkit anew
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check sweep proofs bench clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile

demo: $(VENV)/demo.stamp ## An agent with tools, on a small model in this process: no key, no server
	$(RUN) examples/demo.py

test: $(VENV)/dev.stamp ## Run the tests
	$(RUN) -m pytest $(SHARED) -m 'not sweep and not local_model'
	$(RUN) -m pytest -m local_model $$(grep -rlw local_model tests --include='test_*.py')

check: $(VENV)/dev.stamp ## Lint, formatting, types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m basedpyright --pythonpath $(RUN)

sweep: $(VENV)/dev.stamp ## Run the long tests, which `make test` leaves out
	@echo "$(RUN) -m pytest $(SHARED) -m sweep"
	@status=0; $(RUN) -m pytest $(SHARED) -m sweep || status=$$?; \
	if [ $$status -eq 5 ]; then echo 'make sweep: no test is marked `sweep`, so nothing was swept' >&2; \
	else exit $$status; fi

proofs: $(VENV)/dev.stamp ## Run what needs the package index: the SDK's own tests, other packages' agents (minutes)
	$(RUN) tests/proofs

bench: $(VENV)/dev.stamp ## Measure what agentkit costs (minutes)
	$(RUN) -m benchmarks

clean: ## Remove .venv and whatever else was made here
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says what .venv holds. pyproject.toml is older than the stamp, or what it asks for is installed anew.

$(VENV)/dev.stamp: pyproject.toml $(VENV)/bin/python
	@echo 'Installing agentkit and what its tests need into $(VENV) ...'
	@$(PIP) -e '.[dev]'
	@touch $(VENV)/demo.stamp $@

$(VENV)/demo.stamp: pyproject.toml $(VENV)/bin/python
	@echo 'Installing agentkit, its command line and a small local model into $(VENV) ...'
	@$(PIP) -e '.[local,cli]'
	@touch $@

$(VENV)/bin/python:
	@for python in $${PYTHON:-python3 python3.13 python3.12 python3.11}; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$($$python --version) ..."; \
			$$python -m venv --clear $(VENV) && exit; \
			rm -rf $(VENV); \
			echo "make: $$python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; \
			exit 1; \
		fi; \
	done; \
	found=$$($${PYTHON:-python3} --version 2>/dev/null || echo 'not there'); \
	echo "make: agentkit needs Python 3.11 or newer, and $${PYTHON:-python3} is $$found;" \
		"install one, or name one: make PYTHON=/path/to/python ..." >&2; \
	exit 1
