# Catalyst on one machine. `make` alone says what there is.
#
# PYTHON          the Python that makes .venv (3.11 or newer; found by itself when not given)
# CATALYST_HOME   where data and logs go (var/)
# CATALYST_PORT   where the pages are (8000)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# A folder stays usable when somebody moves the checkout: programs are run as modules, never by their scripts.
PY := $(BIN)/python
RUNS := $(VENV)/.requirements.stamp
DEVELOPS := $(VENV)/.requirements-dev.stamp

.PHONY: help run test lint types style checks bench soak screenshots messages clean

help:  ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  Variables: PYTHON, CATALYST_HOME (default var/), CATALYST_PORT (8000), CATALYST_HOST (127.0.0.1),"
	@echo "  DATABASE_URL, REDIS_URL (use these servers, start none), STRIPE_API_BASE (given: no sandbox card page;"
	@echo "  given and empty: Stripe itself)."

run: $(RUNS)  ## Start everything on this machine; Ctrl-C stops it
	@exec $(PY) -m catalyst.local

test: $(DEVELOPS)  ## Lint, check and test, with real Postgres, Redis and browser
	@sh catalyst/local/install.sh browser
	@sh catalyst/local/install.sh registry
	@$(MAKE) --no-print-directory -j 2 lint checks
	@mkdir -p var
	@exec $(PY) -m pytest -n 2 --dist worksteal --junitxml=var/junit.xml $(ARGS)

lint: types style  ## Ruff, mypy, import-linter, djlint

# Targets of their own, so that the types, which take longest, are checked beside the rest.
types: $(DEVELOPS)
	$(PY) -m mypy .

style: $(DEVELOPS)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(BIN)/python $(BIN)/lint-imports
	@if grep -q '^\[tool\.djlint\]' pyproject.toml; then set -x; $(PY) -m djlint --lint templates; fi

checks: $(DEVELOPS)
	@sh catalyst/local/check.sh $(PY)

bench: $(DEVELOPS)  ## Measure against the floor (ROWS=a,b for some rows)
	@ROWS="$(ROWS)" exec $(PY) -m bench

soak: $(DEVELOPS)  ## A year of 200 Organizations with crashes and faults (SOAK=organizations,days,seed)
	@CATALYST_SOAK="$(or $(SOAK),200,365,2026)" exec $(PY) -m pytest tests/life/soak.py -p no:randomly -q --capture=sys --show-capture=no

screenshots: $(DEVELOPS)  ## Pictures of every page: languages × widths × themes, in var/screenshots
	@sh catalyst/local/install.sh browser
	@exec $(PY) -m tests.journeys.screenshots

messages: $(DEVELOPS)  ## Collect and compile the translations (needs gettext)
	$(PY) manage.py makemessages --all --no-wrap --ignore "$(VENV)/*" --ignore "var/*"
	$(PY) -m babel.messages.frontend compile -l ar -D django -d locale

clean:  ## Remove .venv and caches; data below var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNS): requirements.txt
	@PYTHON="$(PYTHON)" sh catalyst/local/install.sh venv $(VENV) requirements.txt
	@touch $@

$(DEVELOPS): requirements-dev.txt requirements.txt
	@PYTHON="$(PYTHON)" sh catalyst/local/install.sh venv $(VENV) requirements-dev.txt
	@touch $@ $(RUNS)
