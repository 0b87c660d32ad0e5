# make practice: set up, then the screen on a practice host      make test: set up, then every test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: practice test test-everywhere lint deb bench bans evidence evidence-applications faults fidelity fuzz \
  histories docs docs-check screens lock clean

practice: $(VENV)/.ready
	$(BIN)/harden-tui --practice

# Four at a time, also on two cores: hosts that boot, reload and reach their deadlines mostly wait.
test: $(VENV)/.ready
	$(BIN)/pytest -n 4 --dist worksteal --durations=25

test-everywhere: $(VENV)/.ready
	HARDEN_TUI_EVERYWHERE=1 $(BIN)/pytest -n 4 --dist worksteal --durations=25

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

deb: $(VENV)/.ready
	$(BIN)/python packaging/build_deb.py

bench: $(VENV)/.ready
	$(BIN)/python -m tests.bench

bans: $(VENV)/.ready
	$(BIN)/python -m tests.bans $(BANS)

evidence: $(VENV)/.ready
	$(BIN)/python -m tests.evidence $(EVIDENCE)

evidence-applications: $(VENV)/.ready
	$(BIN)/python -m tests.evidence.applications $(EVIDENCE)

faults: $(VENV)/.ready
	$(BIN)/python -m tests.faults $(FAULTS)

fidelity: $(VENV)/.ready
	$(BIN)/python -m tests.fidelity

fuzz: $(VENV)/.ready
	$(BIN)/pytest -n 3 -m hypothesis --hypothesis-profile=fuzz

histories: $(VENV)/.ready
	$(BIN)/python -m tests.histories $(HISTORIES)

docs: $(VENV)/.ready
	$(BIN)/python packaging/docs.py

docs-check: $(VENV)/.ready
	$(BIN)/python packaging/docs.py --check

screens: $(VENV)/.ready
	$(BIN)/python packaging/screens.py

lock: $(VENV)/.ready
	$(BIN)/pip install -q pip-tools
	for part in requirements requirements-dev; do CUSTOM_COMPILE_COMMAND="make lock" \
	  $(BIN)/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-emit-trusted-host --strip-extras --allow-unsafe -o $$part.lock $$part.in; done

clean:
	rm -rf $(VENV) dist build *.egg-info

$(VENV)/.ready: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("harden-tui needs Python 3.11 or newer; make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
