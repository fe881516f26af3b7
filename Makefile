# Wenbao, the two commands: `make demo` asks the sample pages, `make test` checks the house.
# Both need Python 3.11 or newer, make and a package index; everything lands in .venv/.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
INSTALL := $(PIP) install -qq -c requirements.lock
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
BENCH := .venv-bench
PEERS := $(BENCH)/.peers
PAGES := tests/data/sample/pages

# Prints a dot every five seconds while the command behind it runs; its exit status counts.
PATIENTLY = sh .ci/patiently

.DEFAULT_GOAL := help
.PHONY: help venv demo test bench measure prove fit lock clean
.DELETE_ON_ERROR:

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(RUNTIME) ## install Wenbao into .venv

$(BIN)/python:
	@sh .ci/python $(VENV) $(PYTHON)

$(RUNTIME): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing Wenbao into $(VENV): about 1.9 GB, two minutes the first time."
	@$(PATIENTLY) $(INSTALL) -e .
	@touch $@

$(DEV): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing Wenbao and its tools into $(VENV): about 2 GB, two minutes the first time."
	@$(PATIENTLY) $(INSTALL) -e '.[dev]'
	@touch $(RUNTIME) $@

demo: export WENBAO_HOME := .wenbao/demo
demo: export WENBAO_MODEL_CACHE := .wenbao/models
demo: $(RUNTIME) ## index the sample pages and ask them three questions
	@$(BIN)/wenbao ingest $(PAGES)
	@$(BIN)/wenbao ask "what did the Yanta district members propose to make things easier for old people?"
	@$(BIN)/wenbao ask "天心区今年还要装多少部电梯？全椒首批青年公寓又有多少间？"
	@$(BIN)/wenbao ask "what did Beilin district propose?"

test: $(DEV) ## format, lint, types, import contracts and all tests that need no key
	@sh .ci/browser
	@sh .ci/small-model $(BIN)/python
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -m "not live" --hypothesis-profile=ci -n auto --dist loadfile

bench: $(DEV) $(PEERS) ## speed, cost of checking, other libraries, 100,000 passages, many at once, the HTTP contract
	@status=0; for part in speed checks peers scale load contract; do \
	    $(BIN)/python tests/bench/$$part.py || status=1; \
	done; exit $$status

# A peer that can't be installed is named, and has a row that says so in the table.
$(PEERS): pyproject.toml requirements-bench.lock tests/bench/install.py
	@sh .ci/python $(BENCH) $(PYTHON)
	@echo '*' >$(BENCH)/.gitignore
	@echo "Installing what Wenbao is measured against into $(BENCH): about 2 GB, three minutes."
	@$(PATIENTLY) $(BENCH)/bin/python tests/bench/install.py
	@touch $@

measure: export WENBAO_HOME := .wenbao/measure
measure: export WENBAO_MODEL_CACHE := .wenbao/models
measure: $(RUNTIME) ## ask two sets that nothing was tuned on and print every measure
	@$(BIN)/wenbao evaluate tests/data/sample/questions.test.jsonl --corpus $(PAGES)
	@$(BIN)/wenbao evaluate tests/data/fresh/questions.jsonl --corpus tests/data/fresh/pages

prove: $(DEV) ## perform the image's install in an empty environment, start what the units start
	@PYTHONPATH=tests $(BIN)/python tests/bench/deploy.py

fit: $(DEV) ## fit what decides answers, on the tuning half of the sample questions
	@$(BIN)/python tests/bench/fit.py

lock: ## resolve pyproject.toml afresh into requirements.lock
	@sh .ci/lock $(PYTHON)

clean: ## remove the environment, the demo, the built model and all caches
	rm -rf $(VENV) $(BENCH) .wenbao build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache
	find bot rag embeddings tests -name __pycache__ -prune -exec rm -rf {} +
