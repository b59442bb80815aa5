# Each target works from nothing, on a machine that has only Python 3.11 (or newer) and make.

BIN := .venv/bin
READY := .venv/.ready
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run demo test conservation check format bench screenshots compose-check policy-check env clean

help: ## show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## start everything here: Temporal with its UI, the worker, the web intake (Ctrl-C stops it)
	@$(BIN)/pactkeeper up $(ARGS)

demo: $(READY) ## watch incidents play out in the terminal, in under 20 seconds
	@$(BIN)/pactkeeper demo $(ARGS)

test: $(READY) ## run every test (ARGS="-k pause" picks some)
	@$(BIN)/pytest $(ARGS)

conservation: $(READY) ## hold that no time is made or lost over 2,000 generated histories (about half an hour)
	@PACTKEEPER_HISTORIES=2000 $(BIN)/pytest --timeout=0 tests/test_conservation.py $(ARGS)

check: $(READY) compose-check policy-check ## lint, strict types, the import rule, the compose file, the shipped contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pytest -q tests/test_import_rule.py tests/test_ground.py tests/test_compose.py
	@$(BIN)/hadolint Dockerfile
	@for script in deploy/*.sh deploy/*/*.sh; do sh -n "$$script" || exit 1; done
	@echo "check: all is well"

format: $(READY) ## put the code into the shape that check wants
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## measure: business time, intake, worker, history (ratios against others, in one run)
	@$(BIN)/python -m benchmarks $(ARGS)

screenshots: $(READY) ## take the pictures in docs/ of the real Temporal UI (needs Chromium)
	@$(BIN)/python docs/screenshots.py $(ARGS)

compose-check: $(READY)
	@set -e; filled=$$(mktemp); trap 'rm -f "$$filled"' EXIT; \
	$(BIN)/python deploy/fill_env.py .env.example > "$$filled"; \
	$(BIN)/docker-compose --env-file "$$filled" config --quiet

policy-check: $(READY)
	@$(BIN)/pactkeeper policy check policies

env: .env ## write .env for docker compose, with fresh secrets (an .env that is there stays)

.env:
	@umask 077; python=$$(sh deploy/find_python.sh); "$$python" deploy/fill_env.py .env.example > .env
	@echo "Wrote .env with fresh secrets; keep it, the database remembers them. Next: docker compose up --build --wait"

setup: $(READY) ## only set up .venv

$(READY): pyproject.toml setup.py requirements.lock
	@set -e; \
	if [ ! -x $(BIN)/python ]; then \
	  python=$$(sh deploy/find_python.sh); \
	  echo "Setting up .venv with $$("$$python" --version): about a minute, once."; \
	  "$$python" -m venv .venv; \
	else echo "Bringing .venv up to date."; fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean: ## remove .venv and what builds leave behind (data in var/ stays)
	@rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
