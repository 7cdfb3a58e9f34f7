# Every target sets up what it needs; the second time it installs nothing. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VENDOR := vendor/.ready
ASSIGNMENT ?= 04-attention

# Two spinning OpenMP threads collapse when anything else runs; run two processes instead.
export OMP_NUM_THREADS ?= 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[book,grading,dev]'
	touch $@

$(VENDOR): tools/vendor.py | $(READY)
	$(BIN)/python -m tools.vendor

.PHONY: setup
setup: $(READY) ## Create .venv and install everything

.PHONY: book
book: $(READY) $(VENDOR) ## Execute every chapter, build the site, check it
	$(BIN)/python -m grading book-pages
	$(BIN)/python -m tools.errata
	$(BIN)/python -m experiments --check
	$(BIN)/python -m tools.execute
	$(BIN)/jupyter-book build book -W --keep-going
	$(BIN)/python -m tools.check_site book/_build/html

.PHONY: test
test: lint $(READY) $(VENDOR) ## Run every gate: lint, unit tests, exercises, chapters
	$(BIN)/pytest tests -n 2 --dist loadscope --durations=15
	$(BIN)/python -m tools.nbval

.PHONY: lint
lint: $(READY) ## Check style (ruff, notebooks too) and spelling
	$(BIN)/python -m tools.lint

.PHONY: format
format: $(READY) ## Format code and notebooks
	$(BIN)/python -m tools.lint --fix

.PHONY: record
record: $(READY) ## Execute the chapters and record their outputs for the tests
	$(BIN)/python -m grading book-pages
	$(BIN)/python -m tools.record

.PHONY: lab
lab: $(READY) ## Open JupyterLab on the exercises
	$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/exercises

.PHONY: release
release: $(READY) ## Generate the student edition from solutions/
	$(BIN)/python -m grading release

.PHONY: check
check: $(READY) ## Prove the assignments: drift, leaks, reference solution, wrong answers
	$(BIN)/python -m grading check

.PHONY: sample-class
sample-class: $(READY) ## Write a sample class of five submissions to course/submitted/
	$(BIN)/python -m grading sample-class $(ASSIGNMENT)

.PHONY: grade
grade: $(READY) ## Grade course/submitted/ (ASSIGNMENT=04-attention): feedback, CSV, report
	$(BIN)/python -m grading grade $(ASSIGNMENT) $(if $(SCHEDULER),--scheduler $(SCHEDULER))

.PHONY: attacks
attacks: $(READY) ## Try 200 hostile and broken submissions on the grader (3 minutes)
	$(BIN)/python -m tools.attacks

.PHONY: coverage
coverage: $(READY) ## Say which rows of the course's list the built pages settle (after make book)
	$(BIN)/python -m tools.coverage

.PHONY: experiments
experiments: $(READY) ## Train on the real sets and write their results (hours; EXPERIMENT=ag-news for one)
	$(BIN)/python -m experiments $(EXPERIMENT)

.PHONY: bench
bench: $(READY) ## Compare encoderlib's speed with its peers' (2 minutes)
	$(BIN)/python benchmarks/encoder.py --quick

.PHONY: bench-docs
bench-docs: $(READY) ## The same in full (20 minutes), written to docs/benchmarks.md
	$(BIN)/python benchmarks/encoder.py --write docs/benchmarks.md

.PHONY: mutants
mutants: $(READY) ## Show that the tests catch mistakes: docs/mutation.md (20 minutes; resumes)
	$(BIN)/python -m tools.mutants

.PHONY: doctor
doctor: ## Say what is right and wrong with this machine
	@if test -x $(BIN)/python; then $(BIN)/python -m tools.doctor; else $(PYTHON) -m tools.doctor; fi

.PHONY: clean
clean: ## Remove everything generated except .venv
	rm -rf build book/_build book/_generated vendor .pytest_cache .ruff_cache
