# Each target does its own set-up in .venv and leaves nothing outside this folder but pip's cache.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test check runtime-wheel clean

setup: .venv/.installed-run

# The tests build this very recipe to its end, so that it needs no rehearsal.
demo: .venv/.installed-run
	EDGETL_REHEARSAL=off $(BIN)/edgetl build recipes/demo.yaml

# Two at once, each with one thread: with several threads each they would wait for one another. Files in their order, which ends
# with tests/unit: by their number of tests, files of few long ones came last, and one core waited for them.
test: .venv/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m benchmarks.tables --check
	$(BIN)/python -m edgetl.config.reference --check docs/recipe.md
	$(BIN)/python -m edgetl.results.schema --check docs/report.schema.json

# The device side alone: needs no .venv and no network.
runtime-wheel:
	$(PYTHON) tools/runtime_wheel.py dist

clean:
	rm -rf .venv .edgetl runs dist

.venv/.installed-run: pyproject.toml
	$(call install,.)
.venv/.installed-test: pyproject.toml
	$(call install,.[test])
.venv/.installed-dev: pyproject.toml
	$(call install,.[dev])

define install
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '$(1)'
	@touch $@
endef
