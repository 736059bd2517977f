# Every target makes .venv if need be; nothing but Python (3.11 or later), its
# pip and make is assumed.
PYTHON ?= python3
BIN = .venv/bin
INSTALLED = .venv/.installed
TYPED = build/typed/clel_tf
SERVING = .venv-serving
RUN = runs/digits
# The CPU build: PyPI's takes gigabytes of CUDA libraries with it.
PYTORCH_INDEX = --extra-index-url https://download.pytorch.org/whl/cpu
PYTORCH = torch==2.13.0 $(PYTORCH_INDEX)
# Whose figures ours are held against. What they ask for besides PyTorch they are
# not given: their metrics do without, and torchvision takes CUDA with it.
PEERS = torch-fidelity==0.4.0 prdc==0.2 pytorch-ood==0.4.0

.PHONY: demo docs test test-parity test-serving test-all lint figures bench bench-full bench-gpu bench-serving

demo: $(INSTALLED)
	$(BIN)/clel-train --preset=digits --workdir=$(RUN)
	@test -d $(RUN)/serving/digits/1 || \
	  $(BIN)/clel-export --workdir=$(RUN) --export_dir=$(RUN)/serving/digits
	@echo
	@echo "Look at    $(RUN)/samples.png"
	@echo "Figures    $(RUN)/summary.json"
	@echo "Serve      $(RUN)/serving/digits/1/"
	@echo "Draw more  $(BIN)/clel-sample --workdir=$(RUN) --num=100 --seed=1 --out=more.png"
	@echo "Curves     $(BIN)/tensorboard --logdir=$(RUN)"

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

# The same, with PyTorch (its CPU build is enough) for the tests of parity, and
# JAX for those of components on other backends.
test-parity: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[jax]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  $(PYTORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps $(PEERS)
	$(MAKE) test

# Exports in MLServer, a model server of other authors, which has an environment
# of its own (a third of a gigabyte; it takes Python below 3.13).
test-serving: $(INSTALLED) $(SERVING)/.installed
	$(BIN)/python -m pytest tests/export/mlserver_test.py

test-all: $(INSTALLED)
	$(BIN)/python -m pytest

# mypy sees the three packages as one, as they are installed; it does not follow
# the finder of an editable install.
lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@rm -rf $(TYPED) && mkdir -p $(TYPED)
	@ln -s $(CURDIR)/clel_tf/* $(CURDIR)/export $(CURDIR)/trainers $(TYPED)
	cd build/typed && $(CURDIR)/$(BIN)/mypy \
	  --config-file $(CURDIR)/pyproject.toml -p clel_tf

# The documentation site, build/docs/index.html.
docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -d build/doctrees docs build/docs

# Every committed figure of the digits preset: trains six seeds (about half an
# hour on two cores).
figures: $(INSTALLED)
	$(BIN)/python benchmarks/digits_seeds.py
	$(BIN)/python benchmarks/digits_steps.py

# Speed and memory beside PyTorch's, on an idle machine: a quarter of an hour, or
# an hour for the long tables.
bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[bench]' $(PYTORCH_INDEX)
	$(BIN)/python benchmarks/bench.py $(BENCH_OPTIONS)

bench-full:
	$(MAKE) bench BENCH_OPTIONS=--full

# The load of many clients on an export of make demo, in MLServer.
bench-serving: $(INSTALLED) $(SERVING)/.installed
	$(BIN)/python benchmarks/serving_load.py

# Chains on one GPU, with what of TensorFlow and PyTorch is installed for it.
bench-gpu: $(INSTALLED)
	$(BIN)/python benchmarks/bench_gpu.py

# Debian's Python has venv but not always ensurepip; pip can fill the gap.
environment = test -x $(1)/bin/pip || $(PYTHON) -m venv $(1) || { \
  $(PYTHON) -m venv --without-pip $(1) && \
  $(PYTHON) -m pip --python $(1) install --quiet pip; }

$(INSTALLED): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	  v >= (3, 11) or sys.exit("clel_tf needs Python 3.11 or later; " \
	  "%s is %d.%d. Try make PYTHON=python3.11" % (sys.executable, v[0], v[1]))'
	@$(call environment,.venv)
	@echo "Installing TensorFlow and the rest into .venv (about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[dev]'
	@touch $@

$(SERVING)/.installed:
	@$(call environment,$(SERVING))
	@echo "Installing MLServer into $(SERVING) (about a minute) ..."
	@$(SERVING)/bin/python -m pip install --quiet --disable-pip-version-check \
	  mlserver==1.7.1 'tensorflow~=2.21.0'
	@touch $@
