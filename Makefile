# The two commands: `make demo` sets everything up and runs the dashboard on a real cluster; `make test` sets everything up and tests.
# On a bare Debian 12 both need root once, to install packages.

SHELL := /bin/bash
PORT ?= 8000
HOST ?= 127.0.0.1
HOSTS ?= lab
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMPS := .make

.PHONY: demo up test check bench setup lock fast lab-tests screenshots messages clean

demo: setup
	@HOSTS=$(HOSTS) PORT=$(PORT) HOST=$(HOST) $(PYTHON) -m lab.demo

up: $(STAMPS)/ready
	@$(PYTHON) manage.py up --host $(HOST) --port $(PORT)

setup: $(STAMPS)/ready
	@if [ "$(HOSTS)" != test ]; then tools/setup lab; fi

test: $(STAMPS)/ready
	tools/setup test
	$(MAKE) --no-print-directory check
	tools/run-tests

fast: $(STAMPS)/ready
	$(VENV)/bin/pytest -m "not lab and not browser and not services"

check: $(STAMPS)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/djlint --lint --quiet templates
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/mypy
	$(PYTHON) manage.py makemigrations --check --dry-run

bench: $(STAMPS)/ready
	tools/setup test
	$(PYTHON) -m bench

# every page as pictures to be looked at: of the demo, or of what runs at URL (PASSWORD=…)
screenshots: $(STAMPS)/ready
	@tools/setup test
	@HOSTS=$(HOSTS) $(PYTHON) tools/screenshots.py

lock:
	$(VENV)/bin/pip install --quiet pip-tools
	$(VENV)/bin/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.txt requirements.in
	$(VENV)/bin/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements-dev.txt requirements-dev.in

messages: $(STAMPS)/ready
	$(PYTHON) manage.py makemessages
	$(PYTHON) manage.py compilemessages --verbosity 0 --locale vi --ignore .venv --ignore node_modules

$(STAMPS)/system: tools/setup
	@mkdir -p $(STAMPS)
	tools/setup system
	@touch $@

$(STAMPS)/python: requirements.txt requirements-dev.txt $(STAMPS)/system
	tools/setup python
	@touch $@

$(STAMPS)/node: package-lock.json $(STAMPS)/system
	tools/setup node
	@touch $@

$(STAMPS)/assets: $(STAMPS)/node $(STAMPS)/python kvmdash/assets.py $(wildcard templates/*.html templates/*/*.html templates/*/*/*.html static/js/*.js)
	$(PYTHON) -m kvmdash.assets
	@touch $@

$(STAMPS)/messages: $(STAMPS)/python $(wildcard kvmdash/locale/*/LC_MESSAGES/*.po)
	$(PYTHON) manage.py compilemessages --verbosity 0 --locale vi --ignore .venv --ignore node_modules
	@touch $@

$(STAMPS)/ready: $(STAMPS)/assets $(STAMPS)/messages
	@touch $@

clean:
	rm -rf $(STAMPS) $(VENV) node_modules static/vendor var
