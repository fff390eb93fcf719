# The two doors of the house: `make demo` shows it at work, `make test` proves it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# uv fetches many packages at once, where pip takes them one after the other; it is told where pip was told to look
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
	$(foreach place,$(PIP_FIND_LINKS),--find-links $(place)) $(if $(PIP_INDEX_URL),--default-index $(PIP_INDEX_URL))

# a suite that starts a hundred processes must not compile every library anew in each
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint clean

.venv/bin/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt uv
	touch $@

.venv/core: setup.cfg constraints.txt | .venv/bin/uv
	$(INSTALL) --editable .
	touch $@

.venv/test: setup.cfg constraints.txt | .venv/bin/uv
	$(INSTALL) --editable '.[test]'
	touch .venv/core $@

demo: .venv/core
	$(BIN)/hunter demo

test: .venv/test
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf .venv build *.egg-info
