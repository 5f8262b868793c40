# One entrance for people and for CI. Needs Python 3.11 or 3.12, make and a network; everything else is set up from here.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-full test-nifi lint lock clean-stamp

VENV := .venv
STAMP := $(VENV)/.set-up
PYTHON := $(VENV)/bin/python
DATA ?=
SYMBOLS ?=

help:
	@echo "make demo [DATA=folder] [SYMBOLS=A,B]   the whole road, on the synthetic twin or on vendor files"
	@echo "make setup                              .venv from the lock, downloads into TICK_CACHE; nothing when done"
	@echo "make test | test-full                   lint, types, arrows and tests | and all that takes long"
	@echo "make test-nifi                          a real NiFi sends real files while S3 stops and starts"
	@echo "make lint | lock                        the checks without tests | resolve requirements.lock again"

# The stamp tells whether the environment is the lock's; `tick setup` itself knows whether there is anything to download.
setup: $(STAMP)
	@"$(VENV)/bin/tick" setup

$(STAMP): requirements.lock pyproject.toml
	@sh deploy/make_environment.sh "$(VENV)"
	@touch "$@"

demo: setup
	@set --; \
	if [ -n "$(DATA)" ]; then set -- "$$@" --data "$(DATA)"; fi; \
	if [ -n "$(SYMBOLS)" ]; then set -- "$$@" --symbols "$(SYMBOLS)"; fi; \
	exec "$(VENV)/bin/tick" demo "$$@"

lint: setup
	"$(PYTHON)" -m ruff check .
	"$(PYTHON)" -m ruff format --check .
	"$(PYTHON)" -m mypy
	"$(VENV)/bin/lint-imports"

# Tests without servers share two processes; those on the servers share one stack.
test: lint
	"$(PYTHON)" -m pytest -n 2 -m "not stack and not full"
	"$(PYTHON)" -m pytest -m "stack and not full"

test-full: test
	"$(PYTHON)" -m pytest -m full

# A real NiFi (270 MB more) sends real files; part of test-full.
test-nifi: setup
	"$(PYTHON)" -m pytest -m full tests/nifi

lock: setup
	"$(PYTHON)" -m uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url -o requirements.lock
