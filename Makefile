# Two commands on a fresh machine: `make start` to learn, `make test` to check everything.
# To use another Python: make start PYTHON=python3.12

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

.PHONY: start install verify test validate

start: verify  ## install, check this machine, and show the first failing test
	@$(BIN)/pytest; status=$$?; test $$status -le 1
	@test -n "$$VIRTUAL_ENV" || echo "First, in this terminal:  source $(BIN)/activate"

verify: install  ## check Python, packages, torch, device and folders
	@$(BIN)/harness verify

install: .venv/installed  ## create .venv with everything that a learner needs

test: .venv/tox  ## run every check against the reference solutions
	$(BIN)/tox

validate: install .venv/tox  ## run the same checks and print a summary table
	$(BIN)/harness validate

.venv/installed: pyproject.toml | .venv
	$(BIN)/python -m pip install --disable-pip-version-check -e .
	@touch $@

.venv/tox: | .venv
	$(BIN)/python -m pip install --disable-pip-version-check "tox>=4.20,<5"
	@touch $@

.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	    "Try: make start PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
