# Every target sets up what it needs by itself: make, a Python and a package index are enough.
#   make test PYTHON=/path/to/python3.12     chooses the Python of a new .venv

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TYPED := build/typed
TOOLS := build/tools
SITE_TOOLS := build/docs-env

USABLE := import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
CANDIDATES := python3 python3.13 python3.12 python3.11 python3.10
PYTHON ?= $(firstword $(foreach name,$(CANDIDATES),$(shell $(name) -c '$(USABLE)' >/dev/null 2>&1 && echo $(name))))

# Two workers are the cores of a small machine; each holds a TensorFlow of its own.
TEST_WORKERS ?= 2
PYTEST = $(BIN)/pytest --numprocesses $(TEST_WORKERS) --dist loadfile
# Programs that XLA has compiled stay in a process until it ends: two runs take two thirds of the memory of one.
OUTER := tests/cli tests/datasets tests/export
REPEATED := tests/export/serving/test_fuzz.py tests/export/serving/test_restart.py tests/training/test_kill.py \
    tests/export/test_concurrency.py

# TensorFlow reports a missing GPU as an error; what fails still raises.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-long spark lint types docs hooks licences sbom lock bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo       train on simulated shop sessions, evaluate beside baselines, recommend, export, serve"
	@echo "make test       lint, then all tests but the long ones"
	@echo "make test-long  the long versions of the tests"
	@echo "make spark      install pyspark (450 MB), without which the tests on Spark skip"
	@echo "make lint       ruff (rules and format) and mypy"
	@echo "make docs       build the documents into build/site"
	@echo "make hooks      run what make lint runs before each commit"
	@echo "make licences   list the licence of every package installed"
	@echo "make sbom       write a bill of materials, build/sbom.json (CycloneDX)"
	@echo "make lock       write requirements.lock anew from constraints.txt"
	@echo "make bench      measure the speed of training"
	@echo "make clean      remove all that make has made, the environment $(VENV) too"

demo: $(INSTALLED)
	@rm -rf .demo/model .demo/export
	$(BIN)/gru4rec-train --dataset synthetic_sessions --data_dir .demo/data --model_dir .demo/model --n_epochs 3
	$(BIN)/gru4rec-recommend --model_dir .demo/model --items 451,847 --top_k 3 --verbosity -1
	$(BIN)/gru4rec-export --model_dir .demo/model --export_dir .demo/export --top_k 5 --verbosity -1
	$(BIN)/python examples/live_session.py --export_dir .demo/export --first_item 17 --clicks 2

# Some two fifths of the time of a small model go into optimising its graph and machine code; make test-long has it done, as users do.
test: export XLA_FLAGS ?= --xla_backend_optimization_level=0
test: export GRU4REC_GRAPPLER ?= off
test: lint
	$(PYTEST) -m "not slow" $(OUTER)
	$(PYTEST) -m "not slow" tests $(OUTER:%=--ignore=%)

# Tests of properties again, with many more examples; then what repeats, longer than make test does it.
test-long: $(INSTALLED)
	$(PYTEST) -m "slow or hypothesis" --hypothesis-profile long tests $(REPEATED:%=--ignore=%)
	GRU4REC_FUZZ_REQUESTS=10000 GRU4REC_LIVE_SESSIONS=1000 GRU4REC_KILLS=20 GRU4REC_CUT_RUNS=3000 $(PYTEST) $(REPEATED)

spark: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --require-hashes --requirement .ci/spark.lock

lint: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

LAY_OUT = rm -rf $(TYPED) && mkdir -p $(TYPED)/tfrs_gru4rec && \
    ln -s "$(CURDIR)"/tfrs_gru4rec/* "$(CURDIR)/datasets" "$(CURDIR)/export" $(TYPED)/tfrs_gru4rec/

# mypy finds modules by folders alone, so it gets the folders laid out as they are when installed.
types: $(INSTALLED)
	@$(LAY_OUT)
	cd $(TYPED) && "$(CURDIR)/$(BIN)/mypy" --config-file "$(CURDIR)/pyproject.toml" --cache-dir "$(CURDIR)/.mypy_cache" --package tfrs_gru4rec

# A warning, such as a link that leads nowhere, is an error.
docs: $(INSTALLED) $(SITE_TOOLS)/.installed
	@$(LAY_OUT)
	$(BIN)/python docs/generate.py build/docs
	NO_MKDOCS_2_WARNING=1 $(SITE_TOOLS)/bin/mkdocs build --quiet --strict --config-file docs/mkdocs.yml
	@echo "The documents are in build/site/index.html."

hooks: $(INSTALLED)
	$(BIN)/pre-commit install

licences: $(INSTALLED)
	$(BIN)/python .ci/licences.py

sbom: $(INSTALLED) | $(TOOLS)
	$(TOOLS)/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json

# Every version of constraints.txt with the hashes of its files; to change a version, change it there.
lock: | $(TOOLS)
	$(TOOLS)/bin/uv pip compile --quiet --no-deps --universal --python-version 3.10 --generate-hashes --no-annotate \
	    --custom-compile-command "make lock" --output-file requirements.lock constraints.txt
	$(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate \
	    --fork-strategy fewest --custom-compile-command "make lock" --output-file docs/requirements.lock docs/requirements.in
	$(TOOLS)/bin/uv pip compile --quiet --no-deps --universal --python-version 3.10 --generate-hashes --no-annotate \
	    --custom-compile-command "make lock" --output-file .ci/spark.lock .ci/spark.in

bench: $(INSTALLED)
	$(BIN)/python benchmarks/train_speed.py

clean:
	rm -rf $(VENV) build dist .demo .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What builds from source is installed first, so that no build fetches tools of its own; all files are checked by hash.
# So is pip: that of Python 3.10 takes no version from the lock for what is asked for with extras, such as etils[epath].
$(INSTALLED): setup.py pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing into $(VENV): some minutes, once."
	@mkdir -p build && sed -n '/^\(packaging\|pip\|setuptools\|wheel\)==/,/[^\\]$$/p' requirements.lock > build/build-tools.lock
	@$(BIN)/python -m pip install -qq --require-hashes --requirement build/build-tools.lock
	@$(BIN)/python -m pip install -qq --require-hashes --no-build-isolation --requirement requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(SITE_TOOLS)/.installed: docs/requirements.lock | $(BIN)/python
	@$(BIN)/python -m venv --clear $(SITE_TOOLS)
	@$(SITE_TOOLS)/bin/python -m pip install -qq --require-hashes --requirement docs/requirements.lock
	@touch $@

$(TOOLS): | $(BIN)/python
	$(BIN)/python -m venv $@
	$@/bin/pip install --quiet uv==0.13.9 cyclonedx-bom==7.5.0

$(BIN)/python:
	@if ! "$(PYTHON)" -c '$(USABLE)' >/dev/null 2>&1; then \
	  echo "A Python from 3.10 to 3.13 with its module venv is needed. Tried: $(or $(PYTHON),$(CANDIDATES))." >&2; \
	  echo "uv (https://docs.astral.sh/uv) brings one: uv venv --seed --python 3.12 $(VENV) && make $(MAKECMDGOALS)" >&2; \
	  echo "Or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi
	@"$(PYTHON)" -m venv --clear $(VENV)
