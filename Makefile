PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PREPARE := .venv-prepare
FLASK := $(BIN)/flask --app app
INSTANCE ?= $(or $(INSTANCE_DIR),instance)
export PORT ?= 5000

.DEFAULT_GOAL := help
.PHONY: help install model run test check sbom audit bench lock screenshots settings clean chromium

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-run: requirements.txt requirements-e5.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-e5.txt
	@touch $@

$(VENV)/installed-test: requirements-test.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	@touch $@ $(VENV)/installed-run

build/peers/installed: requirements/peers.txt $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target build/peers -r requirements/peers.txt
	@touch $@

install: $(VENV)/installed-run ## Install what the site needs into .venv

models/e5-small/manifest.json models/hebrew-words/words.json &: | $(VENV)/installed-run
	$(BIN)/python scripts/prepare_model.py e5-small

$(PREPARE)/installed: requirements-prepare.txt
	$(PYTHON) -m venv $(PREPARE)
	$(PREPARE)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-prepare.txt
	@touch $@

# MODEL=alephbert, owner/model of the hub, or a folder; NAME, TEXTS and ARCHIVE=1 as in docs/how-to/models.md.
MODEL ?= e5-small
OPTIONS = $(if $(NAME),--name "$(NAME)") $(if $(TEXTS),--texts "$(TEXTS)") $(if $(ARCHIVE),--archive)

model: $(if $(filter e5-small hebrew-words,$(MODEL)),$(VENV)/installed-run,$(PREPARE)/installed) ## Prepare a model: e5-small, or MODEL=alephbert, MODEL=owner/model
	$(dir $<)bin/python scripts/prepare_model.py "$(MODEL)" $(OPTIONS)

run: $(VENV)/installed-run models/e5-small/manifest.json models/hebrew-words/words.json ## Start the site on http://localhost:5000 with the sample collection
	@$(FLASK) db upgrade
	@if [ ! -f $(INSTANCE)/sample-loaded ]; then \
		$(FLASK) import data/sample-he.jsonl --collection sample && \
		$(FLASK) import data/sample-en.jsonl --collection sample && \
		$(FLASK) embed && mkdir -p $(INSTANCE) && touch $(INSTANCE)/sample-loaded; fi
	@if [ ! -f $(INSTANCE)/sample-jobs-loaded ]; then \
		$(FLASK) import data/sample-jobs.jsonl --collection jobs && \
		$(FLASK) import data/sample-profiles.jsonl --collection profiles --public && \
		$(FLASK) embed && touch $(INSTANCE)/sample-jobs-loaded; fi
	@exec $(BIN)/gunicorn -c gunicorn.conf.py app:app

chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		{ command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && \
		apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
		echo "Chromium is not here and cannot be installed: the browser's tests will be skipped"

# A cluster's extensions want the newest minor release of the system's PostgreSQL; without it their tests are skipped.
CLUSTER := ../shared/tools/citus-cluster
$(VENV)/installed-postgresql: | $(BIN)/python
	@if [ -x $(CLUSTER) ] && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql-15 >/dev/null || \
		echo "PostgreSQL 15 cannot be brought up to date: the cluster's tests may be skipped"; fi
	@touch $@

test: $(VENV)/installed-test $(VENV)/installed-postgresql $(PREPARE)/installed chromium ## Run all tests; with CI=true a skip is a failure
	$(BIN)/python -m pytest -n logical --dist loadfile --no-loadscope-reorder

check: $(VENV)/installed-test ## Lint and check types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

build/tools/installed: requirements-tools.txt
	$(PYTHON) -m venv build/tools
	build/tools/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-tools.txt
	@touch $@

sbom: build/tools/installed ## List what the site is made of in build/sbom.json (CycloneDX)
	@cat requirements.txt requirements-e5.txt > build/site-packages.txt
	build/tools/bin/cyclonedx-py requirements build/site-packages.txt --pyproject pyproject.toml --output-format JSON --output-file build/sbom.json
	@echo "build/sbom.json lists the site's packages"

audit: build/tools/installed ## Look for known vulnerabilities in the packages; skipped where none can be looked up
	build/tools/bin/python -m scripts.audit_packages requirements.txt requirements-e5.txt

build/models/alephbert/manifest.json: | $(PREPARE)/installed
	$(PREPARE)/bin/python -m benchmarks.alephbert_shape

bench: $(VENV)/installed-test build/peers/installed models/e5-small/manifest.json models/hebrew-words/words.json build/models/alephbert/manifest.json ## Measure, and write docs/BENCHMARKS.md
	$(BIN)/python -m benchmarks

build/uv/bin/uv:
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

# Versions stay as they are unless an input file demands another, or UPGRADE=--upgrade is given.
COMPILE = build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --annotation-style line \
	--custom-compile-command "make lock" --no-emit-index-url --no-emit-find-links $(UPGRADE)

lock: build/uv/bin/uv ## Write requirements*.txt from requirements/*.in; UPGRADE=--upgrade takes the newest versions
	$(COMPILE) --generate-hashes requirements/site.in -o requirements.txt
	$(COMPILE) --generate-hashes requirements/e5.in -o requirements-e5.txt
	$(COMPILE) --generate-hashes requirements/test.in -o requirements-test.txt
	$(COMPILE) --excludes requirements/gpu.txt requirements/prepare.in -o requirements-prepare.txt
	$(COMPILE) --excludes requirements/gpu.txt requirements/original.in -o requirements-original.txt
	$(COMPILE) --generate-hashes requirements/tools.in -o requirements-tools.txt

screenshots: $(VENV)/installed-test ## Take the pictures in docs/ again
	$(BIN)/python -m scripts.screenshots

settings: | $(BIN)/python ## Write docs/reference/settings.md from config.py
	$(BIN)/python -m scripts.settings_page > docs/reference/settings.md

clean: ## Remove what was installed and made; the database in instance/ stays
	rm -rf $(VENV) $(PREPARE) models build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
