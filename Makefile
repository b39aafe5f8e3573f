SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where it is set, as images do, every process would compile all it imports, for seconds each.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
# Where python3 is too old, another on the PATH may do. A PYTHON that was asked for is taken or refused.
PYTHONS := $(if $(filter file,$(origin PYTHON)),$(PYTHON) python3.13 python3.12 python3.11,$(PYTHON))
ARGS ?=
DOCKER ?= yes

BIN := .venv/bin
SETUP := .venv/.stamp
LOCALSTACK_SETUP := .venv-localstack/.stamp
COMPILED_SETUP := .compiled/.stamp
BENCH_SETUP := .venv-bench/.stamp
# Those that `make bench` measures beside the worker, and that have packages of their own.
PEERS := fanferro tomodachi taskiq powertools aws-sdk
COMMA := ,
# fanferro, one of those that `make bench` measures beside the worker, needs 3.12.
BENCH_PYTHONS ?= python3.12 python3.13 python3.14 $(wildcard $(HOME)/.pyenv/versions/3.1[2-4]*/bin/python)
LOCKS := requirements.lock requirements-dev.lock requirements-build.lock requirements-compile.lock localstack/localstack.lock tests/bench/peers/peers.lock
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --generate-hashes \
	--no-emit-index-url --no-annotate --python-version 3.11 $(if $(UPGRADE),--upgrade)
# The same locks and hashes as with pip, in a tenth of the time; where it cannot reach what pip can, pip does it.
UV_INSTALL := UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip install --quiet --require-hashes

.PHONY: help demo test thorough check run serve localstack e2e browser pictures faults soak exhaustive simulate stories fuzz bench bench-growth bench-audit bench-routing bench-sweep bench-timeline bench-http bench-lock scale fmt docs lock clean setup localstack-setup compiled-setup

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(SETUP) ## The worker on embedded parts, in less than a minute: the incident of 2022, then a day in the life
	@PYTHONPATH=localstack$${PYTHONPATH:+:$$PYTHONPATH} $(BIN)/python -m demo $(ARGS)

test: $(SETUP) ## The quick tests (ARGS="-k name" picks)
	@$(BIN)/pytest -q -n 2 --dist worksteal $(ARGS)

thorough: $(SETUP) ## Finite spaces point by point, guards taken out, verbs and worker as processes, real waits (ARGS="-k name")
	@$(BIN)/pytest -q -n 2 --dist worksteal -m thorough $(ARGS)

check: $(SETUP) ## Format, lint, types, who may import whom, deployment files, locks, known vulnerabilities
	@echo "format" && $(BIN)/ruff format --quiet --check . || { echo "unformatted files: run \`make fmt\`" >&2; exit 1; }
	@echo "lint" && $(BIN)/ruff check --quiet .
	@echo "types" && $(BIN)/mypy
	@echo "imports" && $(BIN)/lint-imports --no-logo
	@echo "deployment files" && $(BIN)/pytest -q --no-header -m "thorough or not thorough" --ignore=tests/deploy/image/test_build_stage.py tests/deploy
	@echo "locks" && if grep -nE '://|^ *--(extra-)?index|^ *--find-links|^ *--trusted-host| @ ' $(LOCKS); \
		then echo "a lock names where packages come from: run \`make lock\`" >&2; exit 1; fi
	@echo "audit" && $(BIN)/python deploy/audit.py requirements.lock

run: $(SETUP) ## The worker against what `make localstack` started
	@test -f .local/env || { echo "nothing to run against: start \`make localstack\` in another terminal first" >&2; exit 1; }
	@set -a; source .local/env; set +a; exec $(BIN)/routing-sync run $(ARGS)

serve: $(SETUP) ## The API and the status page, http://127.0.0.1:8090/, beside `make run`
	@test -f .local/env || { echo "nothing to serve from: start \`make localstack\` in another terminal first" >&2; exit 1; }
	@set -a; source .local/env; set +a; exec $(BIN)/routing-sync serve $(ARGS)

localstack: $(SETUP) ## SNS, SQS and MongoDB here until Ctrl-C (DOCKER=no: without)
	@if [ "$(DOCKER)" = no ] || ! docker compose version >/dev/null 2>&1 || ! docker info >/dev/null 2>&1; \
		then $(MAKE) localstack-setup; fi
	@exec $(BIN)/python localstack/up.py $(if $(filter no,$(DOCKER)),--no-docker) $(ARGS)

e2e: $(SETUP) $(LOCALSTACK_SETUP) ## The worker, killed and restarted, on LocalStack and a real MongoDB
	@$(BIN)/pytest -q -m e2e tests/e2e tests/bench $(ARGS)

browser: $(SETUP) ## The status page in a real browser, Debian's chromium (CHROMIUM=... names another)
	@$(BIN)/pytest -q -m browser tests/browser $(ARGS)

pictures: $(SETUP) ## Take the pictures of the status page in docs/pictures/ anew
	@PYTHONPATH=localstack $(BIN)/python -m tests.browser.pictures

faults: $(SETUP) $(LOCALSTACK_SETUP) ## Kills, outages, slow and full stores, under load (SEED=1 KILLS=40 FAULTS=outage, upgrade, day or soak ARGS="-k name")
	@FAULT_SEED=$(or $(SEED),1) FAULT_KILLS=$(or $(KILLS),40) $(BIN)/python -m pytest -v -s \
		-m "faults$(if $(FAULTS), and ($(FAULTS)))" tests/faults $(ARGS)

soak: $(SETUP) $(LOCALSTACK_SETUP) ## Workers at the highest rate for an hour: memory and descriptors flat, no event lost (MINUTES=60 SEED=1)
	@PYTHONPATH=localstack$${PYTHONPATH:+:$$PYTHONPATH} $(BIN)/python -m tests.faults.soak.command \
		--minutes $(or $(MINUTES),60) --seed $(or $(SEED),1) $(ARGS)

exhaustive: $(SETUP) ## Every interleaving of so many outside writes, checked (WRITES=2)
	@$(BIN)/python -m tests.causality.search.exhaustive --writes $(or $(WRITES),2) --batches $(ARGS)

simulate: $(SETUP) ## Seeded fleets in virtual time: late, lost and doubled events, crashes (SEEDS=100)
	@$(BIN)/python -m tests.causality.simulation.command --seeds $(or $(SEEDS),100) $(ARGS)

stories: $(SETUP) ## The stories of a day in every order of delivery: their ends, and the flips that a person sees
	@$(BIN)/python -m tests.causality.stories $(ARGS)

fuzz: $(SETUP) ## Bad input by number, wherever bytes enter (INPUTS=100000 SEED=1 TARGET=envelope FROM=0)
	@$(BIN)/python -m tests.fuzz.fuzz --inputs $(or $(INPUTS),100000) --seed $(or $(SEED),1) --first $(or $(FROM),0) \
		$(if $(TARGET),--target $(TARGET)) $(ARGS)

# The tests run in the tree of the wheel: what they import is the wheel, also in the processes that they start.
IN_COMPILED := cd .compiled/tree && export PYTHONPATH=$(CURDIR)/.compiled/tree:$(CURDIR)/.compiled/tree/localstack &&
COMPILED_BIN := $(CURDIR)/$(BIN)
COMPILED_ROOMS := tests/test_values.py tests/commands tests/sync tests/handlers tests/causality tests/worker/aws tests/worker/mongo \
	tests/worker/outbox tests/worker/replay tests/worker/store
# Of these rooms the thorough tests run too: what the compiled modules do on real servers that fail.
COMPILED_PARTS := $(addprefix tests/worker/,aws mongo replay store)
WHOLE_BUILD := $(filter yes,$(WHOLE))

.PHONY: compiled
compiled: $(COMPILED_SETUP) ## The pure rooms compiled, held against the source event by event, and their tests (WHOLE=yes: all quick tests, interleavings, stories, fuzz)
	@$(BIN)/python -m compiled_build.tree .compiled/*.whl .compiled/tree
	@$(BIN)/python -m compiled_build.comparison .compiled/tree $(if $(WHOLE_BUILD),--seeds 200 --inputs 20000)
	@$(IN_COMPILED) $(COMPILED_BIN)/pytest -q -n 2 --dist worksteal -p no:cacheprovider $(or $(ARGS),$(if $(WHOLE_BUILD),,$(COMPILED_ROOMS)))
	@$(if $(ARGS),,$(IN_COMPILED) $(COMPILED_BIN)/pytest -q -n 2 --dist worksteal -p no:cacheprovider -m thorough $(COMPILED_PARTS))
	@$(if $(WHOLE_BUILD),PYTHONPATH=localstack $(BIN)/python -m tests.compiled_build.guards)
	@$(if $(WHOLE_BUILD),$(IN_COMPILED) $(COMPILED_BIN)/python -m tests.causality.search.exhaustive --writes $(or $(WRITES),1) --batches)
	@$(if $(WHOLE_BUILD),$(IN_COMPILED) $(COMPILED_BIN)/python -m tests.causality.stories)
	@$(if $(WHOLE_BUILD),$(IN_COMPILED) $(COMPILED_BIN)/python -m tests.fuzz.fuzz --inputs $(or $(INPUTS),200000) --seed $(or $(SEED),1))

.PHONY: damage
damage: $(SETUP) ## Captured events damaged at random and imported: restored, or reported (INPUTS=10000 SEED=1 ARGS="--first N --show")
	@$(BIN)/python -m tests.worker.investigate.damage.run --inputs $(or $(INPUTS),10000) --seed $(or $(SEED),1) $(ARGS)

# With BUILD=compiled the benchmark runs in the folder where the wheel stands beside it: what it measures is the wheel.
IN_BUILD := $(if $(filter compiled,$(BUILD)),cd .compiled/tree && PYTHONPATH=$(CURDIR)/.compiled/tree:$(CURDIR)/.compiled/tree/localstack,PYTHONPATH=localstack)
BIN_FROM_BUILD := $(if $(filter compiled,$(BUILD)),$(CURDIR)/)$(BIN)

# The peers' environment is needed where a peer is measured: without ONLY or with a peer in it, and never with BASE.
BENCH_PEERS := $(if $(BASE),,$(if $(ONLY),$(filter $(PEERS),$(subst $(COMMA), ,$(ONLY))),$(PEERS)))

bench: $(SETUP) $(if $(BENCH_PEERS),$(BENCH_SETUP)) $(if $(filter compiled,$(BUILD)),$(COMPILED_SETUP)) ## What an event costs, beside other consumers (MESSAGES=1000 ROUNDS=5 ONLY=ours BUILD=compiled), or the working tree beside a commit (BASE=<commit>)
	@$(if $(filter compiled,$(BUILD)),$(BIN)/python -m compiled_build.tree .compiled/*.whl .compiled/tree)
	@$(IN_BUILD) $(BIN_FROM_BUILD)/python -m tests.bench.bench $(if $(MESSAGES),--messages $(MESSAGES)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(BASE),--base $(BASE)) $(if $(ONLY),--only $(ONLY)) $(if $(KINDS),--kinds $(KINDS)) $(ARGS)

bench-growth: $(SETUP) ## The same with more of everything (PARTS=lanes,rates,store,heat,history,memory,costs,footprint MESSAGES=1000 ROUNDS=3)
	@PYTHONPATH=localstack $(BIN)/python -m tests.bench.growth.command $(if $(PARTS),--parts $(PARTS)) \
		$(if $(MESSAGES),--messages $(MESSAGES)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

bench-routing: $(SETUP) ## What creation, queue rules and waiting times add to an event (EVENTS=100 ROUNDS=40)
	@PYTHONPATH=localstack$${PYTHONPATH:+:$$PYTHONPATH} $(BIN)/python -m tests.bench.routing.command \
		$(if $(EVENTS),--events $(EVENTS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

bench-audit: $(SETUP) ## What the kept audit (AUDIT_DAYS) adds to an event on a real mongod (EVENTS=1000 ROUNDS=11)
	@PYTHONPATH=localstack$${PYTHONPATH:+:$$PYTHONPATH} $(BIN)/python -m tests.bench.audit.command \
		$(if $(EVENTS),--events $(EVENTS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

bench-sweep: $(SETUP) ## What a full sweep costs, and what it leaves to the events (DOCUMENTS=1000000)
	@PYTHONPATH=localstack$${PYTHONPATH:+:$$PYTHONPATH} $(BIN)/python -m tests.bench.sweep.command \
		$(if $(DOCUMENTS),--documents $(DOCUMENTS)) $(ARGS)

bench-timeline: $(SETUP) ## Import and timeline of 100,000 events: time, memory, Ctrl-C (EVENTS=100000)
	@PYTHONPATH=localstack$${PYTHONPATH:+:$$PYTHONPATH} $(BIN)/python -m tests.bench.timeline.command $(if $(EVENTS),--events $(EVENTS)) $(ARGS)

bench-http: $(SETUP) ## Requests a second at 1, 2 and 4 clients, beside FastAPI's bare endpoint (REQUESTS=1200 ROUNDS=5)
	@PYTHONPATH=localstack $(BIN)/python -m tests.bench.http.command $(if $(REQUESTS),--requests $(REQUESTS)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

scale: $(SETUP) ## What was measured, taken to 1,000, 10,000 and 100,000 events a second, with quotas and prices
	@$(BIN)/python -m tests.bench.scale.command $(if $(FIGURES),--figures $(FIGURES)) $(ARGS)

fmt: $(SETUP) ## Format, and mend what can be mended
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format .

docs: $(SETUP) ## Make docs/permutations.md and the generated tables of the other pages anew
	@$(BIN)/python -m docs.generators

lock: $(SETUP) ## Make the locks anew after a change of dependencies (UPGRADE=1: newest releases)
	@$(COMPILE) --extra api pyproject.toml -o requirements.lock
	@$(COMPILE) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@$(COMPILE) -c requirements-dev.lock <(printf 'hatchling\nuv\n') -o requirements-build.lock
	@$(COMPILE) -c requirements-dev.lock <(printf 'hatchling\nmsgspec\nmypy\norjson\nsetuptools\n') -o requirements-compile.lock
	@$(COMPILE) localstack/localstack-constraints.txt -o localstack/localstack.lock

bench-lock: $(SETUP) ## Make the lock of the benchmark's other consumers anew (UPGRADE=1: newest releases)
	@UV_CUSTOM_COMPILE_COMMAND="make bench-lock" $(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-annotate \
		--python-version 3.12 $(if $(UPGRADE),--upgrade) tests/bench/peers/peers.in -o tests/bench/peers/peers.lock

clean: ## Remove environments, caches and local state
	@rm -rf .venv .venv-localstack .venv-bench .compiled .local dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(SETUP)
	@:

localstack-setup: $(LOCALSTACK_SETUP)
	@:

compiled-setup: $(COMPILED_SETUP)
	@:

$(SETUP): requirements-build.lock requirements-dev.lock pyproject.toml
	@for python in $(PYTHONS); do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	[ -n "$${found:-}" ] || { echo "Python 3.11 or newer is needed: install it, or name it with \`make PYTHON=...\`" >&2; exit 1; }; \
	$$found -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$$found has no venv: install it, e.g. \`apt-get install python3-venv\`" >&2; exit 1; }; \
	echo "Setting up .venv with $$($$found --version) (once, less than a minute) ..."; \
	$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $$found -m venv --clear .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-build.lock
	@$(UV_INSTALL) --python $(BIN)/python -r requirements-dev.lock 2>/dev/null || \
		$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(LOCALSTACK_SETUP): localstack/localstack.lock | $(SETUP)
	@echo "Setting up LocalStack in .venv-localstack (once) ..."
	@$(BIN)/python -m venv --clear .venv-localstack
	@$(UV_INSTALL) --python .venv-localstack/bin/python -r $< 2>/dev/null || \
		.venv-localstack/bin/pip install -qq --disable-pip-version-check --require-hashes -r $< || \
		{ echo "LocalStack 4.9.2 could not be installed: it is known to work with Python 3.11 to 3.13" >&2; exit 1; }
	@touch $@

# The wheel as the image has it, and a tree in which it stands beside the tests. No other target needs the compiler.
$(COMPILED_SETUP): requirements-compile.lock pyproject.toml $(shell find commands sync handlers worker -name '*.py') \
		$(addprefix compiled_build/,hatch_hook.py compiler.py native_values.py rooms.py) | $(SETUP)
	@command -v cc >/dev/null || { echo "a C compiler is needed: \`apt-get install gcc\`" >&2; exit 1; }
	@echo "Compiling the pure rooms in .compiled (minutes, after each change of them) ..."
	@rm -rf .compiled && $(BIN)/python -m venv .compiled/build
	@$(UV_INSTALL) --python .compiled/build/bin/python -r $< 2>/dev/null || \
		.compiled/build/bin/pip install -qq --disable-pip-version-check --require-hashes -r $<
	@ROUTING_SYNC_COMPILE=1 $(BIN)/python -m pip --python .compiled/build/bin/python wheel -qq --disable-pip-version-check \
		--no-deps --no-build-isolation --wheel-dir .compiled .
	@touch $@

# Without a Python that they need, `make bench` says which it leaves out.
$(BENCH_SETUP): tests/bench/peers/peers.lock | $(SETUP)
	@mkdir -p .venv-bench; for python in $(BENCH_PYTHONS); do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -n "$${found:-}" ]; then \
		echo "Setting up the other consumers in .venv-bench with $$($$found --version) (once) ..."; \
		$$found -m venv --clear .venv-bench; \
		UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip install --quiet --python .venv-bench/bin/python -r $< 2>/dev/null || \
			.venv-bench/bin/pip install -qq --disable-pip-version-check -r $<; \
	else \
		echo "No Python 3.12 or newer here: the other consumers are left out (BENCH_PYTHONS=... names one)" >&2; \
	fi
	@touch $@
