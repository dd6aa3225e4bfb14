PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Made anew when the packaging changes, so that every target does its own set-up.
READY  := $(VENV)/.installed

.PHONY: help install train test test-latest pins audit lint format bench docs clean

help:            ## what can be made here
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | awk -F ':.*## *' '{printf "%-11s %s\n", $$1, $$2}'

install: $(READY)  ## a virtual environment in .venv with everything in it

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "SiftRL needs Python 3.11 or newer; name one with: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,video]'
	@touch $@

train: $(READY)  ## train the agent that sifts among 90 % noise features, in about eight minutes, then evaluate it
	$(BIN)/python train.py --env HalfCheetah-v5 --noise 0.9 -n 20000 --seed 0 --device cpu -f logs/demo -P
	$(BIN)/python evaluate.py logs/demo --episodes 5

test: $(READY)   ## the whole test suite, on two cores
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test-latest:     ## the suite with the newest versions that pyproject.toml allows, but for torch
	$(PYTHON) -m venv --clear .venv-latest
	grep '^torch==' constraints.txt > .venv-latest/torch.txt
	.venv-latest/bin/python -m pip install --quiet --disable-pip-version-check -c .venv-latest/torch.txt -e '.[test,video]'
	.venv-latest/bin/python .ci/pins.py --show
	.venv-latest/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

pins: $(READY)   ## whether constraints.txt pins all that is installed
	$(BIN)/python .ci/pins.py

audit:           ## known vulnerabilities of the pinned versions; asks a service on the network
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	.venv-audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

lint: $(READY)   ## style and correctness checks, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)  ## bring the sources into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## the quick benchmarks, results under build/benchmarks
	$(BIN)/python benchmarks/kernels.py --quick --results build/benchmarks
	$(BIN)/python benchmarks/scaling.py --quick --results build/benchmarks
	$(BIN)/python benchmarks/memory.py --quick --results build/benchmarks
	$(BIN)/python benchmarks/threads.py --quick --results build/benchmarks
	$(BIN)/python benchmarks/throughput.py --quick --results build/benchmarks
	$(BIN)/python benchmarks/export.py --quick --results build/benchmarks
	$(BIN)/python benchmarks/watching.py --results build/benchmarks

docs: $(READY)   ## the pages of methods and of papers anew, and the runnable examples of the documentation
	$(BIN)/python docs/methods.py
	$(BIN)/python docs/reproduce.py
	$(BIN)/python -m pytest -q tests/test_docs.py

clean:           ## remove the virtual environment and caches
	rm -rf $(VENV) .venv-latest .venv-audit build *.egg-info .pytest_cache .ruff_cache
