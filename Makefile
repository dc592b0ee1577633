# Everything happens in .venv, which is brought up to date whenever pyproject.toml changes.
PYTHON ?= python3
KILLS ?= 200
RELOADS ?= 100
SEEDS ?= 1000
NODES ?= 1
ENGINE ?= sqlite
CASES ?= 100000
PAYMENTS ?= 100000
BIN := .venv/bin
ATTACKS := $(basename $(notdir $(wildcard tests/attacks/[a-z]*.py)))
INSTALLED := .venv/.installed
READY := .venv/.ready
BENCHES := .venv/.benches
PIP := $(BIN)/python -m pip install --disable-pip-version-check --prefer-binary --no-compile
FLOORS := .venv-floors
AUDIT := .venv-audit
CLIENTS := .venv-clients

.PHONY: demo test test-floors audit check clients nginx format serve bench bench-operators profile crashes crashes-cluster failover shared-webhooks simulation reloads sabotage fuzz attacks store-copy pitr promtool clean

demo: $(INSTALLED)  ## everything on this machine: a gateway, both simulators, payments through both
	$(BIN)/gateway demo

test: $(READY)  ## all tests
	$(BIN)/python -m pytest -n 2

test-floors: $(FLOORS)/.ready  ## all tests on exactly the minimum versions that pyproject.toml declares
	$(FLOORS)/bin/python -m pytest -n 2

audit: $(READY)  ## known weaknesses of what is installed; ends with 2 where PyPI's advisories cannot be asked
	test -x $(AUDIT)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/python -m pip install --quiet pip-audit; }
	$(BIN)/python -m tests.tools.audit $(AUDIT)/bin/pip-audit

check: $(READY)  ## layout, lint and types; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clients: $(READY) $(CLIENTS)/.ready  ## linters, generated clients and a browser over the OpenAPI document; needs node and npm
	$(BIN)/python -m tests.clients $(CLIENTS)/bin/python

nginx: $(READY)  ## deploy/nginx in front of a gateway: callers told apart, /docs in a browser; needs Debian's nginx and chromium
	$(BIN)/python -m tests.nginx

format: $(READY)  ## put the layout right
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

serve: $(INSTALLED)  ## the gateway with both simulators and a viewer of webhooks, until Ctrl-C
	$(BIN)/gateway serve --with-simulators --listen

bench: $(BENCHES)  ## the table of ratios against yardsticks of the same run
	$(BIN)/python -m bench

bench-operators: $(BENCHES)  ## searches, status and metrics at a million payments, and what they cost payments; needs 12 GB
	$(BIN)/python -m bench.operators

profile: $(BENCHES)  ## where the CPU time of a payment and of a callback goes, step by step
	$(BIN)/python -m bench.profile

crashes: $(READY)  ## kill the real server under load, KILLS times, and hold all ledgers against each other
	$(BIN)/python -m tests.crash --kills $(KILLS)

crashes-cluster: $(READY)  ## the same with two nodes of two workers each on one PostgreSQL, which is killed too
	$(BIN)/python -m tests.crash.cluster crashes --kills $(KILLS)

shared-webhooks: $(READY)  ## webhooks of four gateways on one PostgreSQL: a slow endpoint, a kill, a long queue, with figures
	$(BIN)/python -m tests.shared_webhooks

failover: $(READY)  ## kill the primary database under load: a synchronous standby takes over, and asynchronous ones
	$(BIN)/python -m tests.crash.cluster failover

reloads: $(READY)  ## reload RELOADS times under load, then ten thousand tenants, with figures
	$(BIN)/python -m tests.reload --reloads $(RELOADS)

simulation: $(READY)  ## SEEDS whole histories of NODES gateways on ENGINE under a virtual clock, each checked against independent ledgers
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --nodes $(NODES) --engine $(ENGINE)

sabotage: $(READY)  ## plant faults in a copy of the code, one at a time: each must turn a harness red
	$(BIN)/python -m tests.sabotage

fuzz: $(READY)  ## CASES spoilt callbacks, each judged by a second verifier that shares no code with the plugin
	$(BIN)/python -m tests.security.callback_fuzz --cases $(CASES)

attacks: $(READY)  ## hostile clients, tenants and providers against a running gateway, with figures
	for attack in $(ATTACKS); do $(BIN)/python -m tests.attacks.$$attack || exit 1; done

store-copy: $(READY)  ## copy a store of PAYMENTS to PostgreSQL and back, also killed again and again: equal hashes, with figures
	$(BIN)/python -m tests.store_copy --payments $(PAYMENTS)

pitr: $(READY)  ## restore a PostgreSQL to a time by its own tools, and ask a gateway for everything again: nothing happens twice
	$(BIN)/python -m tests.pitr

promtool: $(BIN)/promtool  ## what the tests of the alerts evaluate them with, from Debian's package, without the server

clean:
	rm -rf .venv $(FLOORS) $(AUDIT) $(CLIENTS) tests/clients/node_modules tests/clients/build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What the gateway runs on, and no more: enough for demo and serve.
$(INSTALLED): pyproject.toml
	@echo "making .venv and installing the libraries that the gateway runs on; this happens once"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo ".venv is made; now the libraries"
	@$(PIP) -e .
	@touch $@

# The tools of tests and checks too.
$(READY): pyproject.toml
	@echo "installing what tests and checks need into .venv; this happens once"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --quiet -e '.[dev]'
	touch $(INSTALLED) $@

# The reference application of the benchmarks, and their profiler.
$(BENCHES): pyproject.toml
	@echo "installing what the benchmarks compare with into .venv; this happens once"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --quiet -e '.[bench]'
	@touch $(INSTALLED) $@

$(FLOORS)/.ready: pyproject.toml tests/tools/minimums.py
	test -x $(FLOORS)/bin/python || $(PYTHON) -m venv $(FLOORS)
	$(PYTHON) -m tests.tools.minimums > $(FLOORS)/constraints.txt
	$(FLOORS)/bin/python -m pip install --quiet --constraint $(FLOORS)/constraints.txt -e '.[test]'
	touch $@

$(BIN)/promtool: | $(READY)
	cd .venv && rm -f prometheus_*.deb && apt-get -q download prometheus
	dpkg-deb --fsys-tarfile .venv/prometheus_*.deb | tar -xO ./usr/bin/promtool > $@.part
	chmod +x $@.part && mv $@.part $@ && rm -f .venv/prometheus_*.deb

$(CLIENTS)/.ready: tests/clients/package-lock.json tests/clients/requirements.txt
	command -v npm > /dev/null || { echo "make clients: npm is not installed; it comes with Node.js 20 or newer"; exit 1; }
	cd tests/clients && npm ci --ignore-scripts --no-audit --no-fund --silent
	test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet -r tests/clients/requirements.txt
	touch $@
