# Two commands on a fresh machine: `make start` to learn, `make test` to check everything.
# To use another Python: make start PYTHON=python3.12

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

ENVIRONMENT := -m harness.commands.environment

.PHONY: start install verify test validate environment

start: verify  ## install, check this machine, and show the first failing test
	@$(BIN)/pytest; status=$$?; test $$status -le 1
	@test -n "$$VIRTUAL_ENV" || echo "First, in this terminal:  source $(BIN)/activate"

verify: install  ## check Python, packages, torch, device and folders
	@$(BIN)/harness verify

install: environment  ## install everything that a learner needs in .venv
	@$(BIN)/python $(ENVIRONMENT) install

test: environment  ## run every check against the reference solutions
	@$(BIN)/python $(ENVIRONMENT) tox
	$(BIN)/tox

validate: install  ## run the same checks and print a summary table
	@$(BIN)/python $(ENVIRONMENT) tox
	$(BIN)/harness validate

environment:  ## create .venv, or create it again if it cannot be used
	@$(BIN)/python $(ENVIRONMENT) ready 2>/dev/null || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	    "Try: make start PYTHON=python3.12"; exit 1; }; \
	  $(PYTHON) $(ENVIRONMENT) create; }
