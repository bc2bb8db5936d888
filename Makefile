# Every target sets itself up on a fresh machine with Python >= 3.11 and a package index.
PYTHON ?= python3
unexport PYTHONDONTWRITEBYTECODE # where a shell sets it, each process compiles torch, scipy and pandas again: seconds each
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal --durations 25
ROOT_TOO := $(if $(filter 0,$(shell id -u)),--allow-root) # containers have nobody else; it listens to this machine alone
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
UV := $(BIN)/python -m uv --quiet

.PHONY: book quick test test-slow test-all soak bench lint serve format lock workflow lab class lite clean

book: $(READY)  ## execute notebooks/ against results/, build _build/html
	$(BIN)/python -m lth_companion.build.book

quick: $(READY)  ## every notebook live, at a scale of minutes on a CPU
	$(BIN)/python -m lth_core book --quick

test: $(READY)  ## ten to thirty minutes on two cores
	$(PYTEST) -m "not slow"

test-slow: $(READY)  ## what `test` leaves out: over half an hour on two cores
	$(PYTEST) -m slow

soak: $(READY)  ## a hundred thousand damages, 2,160 kills, another seed each day: some hours on one core
	LTH_SOAK=100000 LTH_SOAK_SEED=$$(date +%Y%m%d) $(PYTEST) -m slow tests/whole/test_damage.py tests/whole/test_killed.py \
		tests/companion/share/test_publish.py

test-all: $(READY)
	$(PYTEST)

bench: $(READY)
	$(BIN)/python benchmarks/bench.py

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

serve: $(READY)  ## the book as it is at http://127.0.0.1:8000, and a new one built beside
	$(BIN)/python -m lth_companion.build.book --serve

lab: $(VENV)/.lab  ## the notebooks in JupyterLab, with the kernel that they need
	$(BIN)/jupyter lab $(ROOT_TOO) notebooks

$(VENV)/.lab: notebooks/requirements.lock | $(READY)
	$(UV) pip install --python $(BIN)/python --require-hashes -r $< || $(PIP) install --require-hashes -r $<
	$(BIN)/jupyter labextension disable @jupyterlab/apputils-extension:announcements # no news, no question: no network
	@touch $@

class: _build/class/.ready  ## the exercises in Jupyter, in a minute and 400 MB: neither numba nor torch
	_build/class/bin/python -m lth_companion.classroom.without_solutions --keep exercises
	cd exercises && ../_build/class/bin/jupyter nbclassic --NotebookApp.show_banner=False $(ROOT_TOO)

# The installers go when their work is done: 30 MB.
_build/class/.ready: notebooks/teach/requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	rm -rf _build/class
	$(PYTHON) -m venv _build/class
	_build/class/bin/python -m pip --quiet --disable-pip-version-check install --no-compile --require-hashes -r $<
	_build/class/bin/python -m pip --quiet uninstall --yes setuptools pip
	_build/class/bin/python -c 'import site; open(site.getsitepackages()[0] + "/lth.pth", "w").write("$(CURDIR)\n")'
	@touch $@

lite: _build/lite-maker/.ready $(filter _build/pyodide/%,$(PYODIDE)/pyodide-lock.json)  ## the exercises for browsers: a static folder, _build/lite (PYODIDE=FOLDER: without a network)
	_build/lite-maker/bin/python -m lth_companion.classroom.lite _build/lite $(if $(PYODIDE),--pyodide $(PYODIDE))

_build/lite-maker/.ready: notebooks/teach/lite.lock
	rm -rf _build/lite-maker
	$(PYTHON) -m venv _build/lite-maker
	_build/lite-maker/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r $<
	_build/lite-maker/bin/python -c 'import site; open(site.getsitepackages()[0] + "/lth.pth", "w").write("$(CURDIR)\n")'
	@touch $@

# What npm and PyPI have of Pyodide, 20 MB: exercise 1 runs on it.
_build/pyodide/pyodide-lock.json: | _build/lite-maker/.ready
	_build/lite-maker/bin/python -m lth_companion.classroom.pyodide_core $(@D)

# uv installs in half a minute what takes pip several; pip remains for machines whose index only pip is configured for.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install uv
	$(UV) pip install --python $(BIN)/python --require-hashes -r requirements.lock || $(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

workflow: _build/snakemake/.ready  ## Snakemake, apart from .venv: it asks for older packages than the book does

_build/snakemake/.ready: workflow/requirements.lock | $(READY)
	$(BIN)/python -m venv _build/snakemake
	$(UV) pip install --python _build/snakemake/bin/python --require-hashes -r $< || _build/snakemake/bin/python -m pip --quiet install --require-hashes -r $<
	@touch $@

# The index address stays out of the file: it belongs to the machine that installs, not to the project.
lock:
	$(UV) pip compile pyproject.toml --extra book --extra dev --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-header --no-annotate -o requirements.lock
	sed -n '/^workflow = /,/^]/s/^ *"\(.*\)",/\1/p' pyproject.toml | $(UV) pip compile - --generate-hashes --universal \
		--python-version 3.11 --no-emit-index-url --no-header --no-annotate -o workflow/requirements.lock
	for extra in lab:notebooks/requirements class:notebooks/teach/requirements lite:notebooks/teach/lite; do \
		sed -n "/^$${extra%%:*} = /,/^]/s/^ *\"\(.*\)\",/\1/p" pyproject.toml | $(UV) pip compile - -c requirements.lock \
			--generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate \
			-o $${extra#*:}.lock; \
	done

clean:
	rm -rf _build _artefacts book/*.ipynb book/_vendor .pytest_cache .mypy_cache .ruff_cache .hypothesis
