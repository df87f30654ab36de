# The commands of CONTRACT: demo, test, lint, bench, faults. Everything they need is installed into .venv.
PORT ?= 8000
DATA ?= $(CURDIR)/.data
PYTHON ?= python3
# Processes that run the tests, a file each; `make test WORKERS=0` runs them one after the other, as a debugger wants.
WORKERS ?= logical
BIN := .venv/bin
MESSAGES := locale/zh_Hans/LC_MESSAGES/django.mo
export DATA

.PHONY: demo reset test lint bench faults lock messages

demo: .venv/runtime $(MESSAGES)
	@STAGE=demo $(BIN)/python manage.py demo --port $(PORT)

reset:
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m renewal.reset; fi

test: export DATA = $(CURDIR)/.data/test
test: .venv/dev $(MESSAGES)
	@$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: export DATA = $(CURDIR)/.data/test
lint: .venv/dev $(MESSAGES)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python manage.py makemigrations --check --dry-run
	STAGE=production SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))') \
	  LINK_KEY=x$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))') \
	  IDENTITY_KEY=x$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))') \
	  FILE_KEY=x$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))') \
	  ALLOWED_HOSTS=renewal.example $(BIN)/python manage.py check --deploy --fail-level WARNING

bench: .venv/dev $(MESSAGES)
	@$(BIN)/python -m bench.run $(ONLY)

faults: .venv/dev $(MESSAGES)
	@$(BIN)/python -m faults.run $(ONLY)

# Exact versions with hashes, for every Python from 3.11 on; needs uv.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

# New and changed sentences into the catalogue; needs gettext.
messages: .venv/dev
	$(BIN)/python manage.py makemessages -l zh_Hans --no-location --no-wrap -i .venv -i .data

$(MESSAGES): %.mo: %.po .venv/runtime
	@$(BIN)/pybabel -q compile -D django -i $< -o $@ -l zh_Hans
	@test -s $@

.venv/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; $$($(PYTHON) --version) was found. Name another with make PYTHON=…"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing; install the package python3-venv (Debian, Ubuntu)."; exit 2; }
	@echo "Making the environment .venv …"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/runtime: requirements.lock | .venv/pip
	@echo "Installing the packages of requirements.lock …"
	@$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/dev: requirements-dev.lock | .venv/runtime
	@echo "Installing the packages of requirements-dev.lock …"
	@$(BIN)/pip install --disable-pip-version-check -q --require-hashes -r requirements-dev.lock
	@touch $@
