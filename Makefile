# make demo    a first result: synthetic CT in, mask, scores and picture out
# make test    every test;  make lint  the format
SHELL := /bin/bash
.DEFAULT_GOAL := help

PACKAGES := libcurl4-openssl-dev libdcmtk-dev libmicrohttpd-dev libnifti-dev libopenblas-dev libopenjp2-7-dev \
	libpng-dev libseccomp-dev libsqlite3-dev libzip-dev zlib1g-dev pkg-config curl jq python3-venv \
	binutils patchelf
BUILD := -c release
HEPAR := .build/release/hepar
export HEPAR_SHARED ?= $(abspath ../shared)

# What `make model` trains on, where it keeps checkpoints and curves, and the model that it makes.
MODEL_DATA := $(HEPAR_SHARED)/data
MODEL_WORK := .build/model
MODEL := Models/default

# The environment with Hepar's peers: HEPAR_PEERS_VENV names one that is there.
PEERS_VENV := $(or $(HEPAR_PEERS_VENV),.build/peers-venv)

# The environment with the clients that tests use: HEPAR_CLIENTS_VENV names one that is there.
CLIENTS_VENV := $(or $(HEPAR_CLIENTS_VENV),$(CURDIR)/.build_test-clients)

.PHONY: help deps build install demo test deploy-test clients-venv lint-venv model peers-venv bench-peers bench-training lint format \
	clean campaigns-short shares crash crash-short damage powerloss orphan slices disk load lockout soak numbers fuzz tsan

help:
	@echo "make demo [CT=scan.nii.gz [REFERENCE=mask.nii.gz]]   a result in one command"
	@echo "make build    the program: $(HEPAR)"
	@echo "make test     every test"
	@echo "make model    train the default model again from $(MODEL_DATA): hours; goes on where it was stopped"
	@echo "make bench-peers [PEERS='--only network --rounds 3']   Hepar against PyTorch, ONNX Runtime, OpenVINO, MedPy"
	@echo "make bench-training [TRAINING='--cases 16x224x8 --rounds 3']   a training step against PyTorch's"
	@echo "make install [DESTDIR=] [PREFIX=/usr]   program, model, configuration and systemd unit into their places"
	@echo "make deploy-test [PARTS='nginx systemd monitoring image compose manifests docs orthanc']   what deploy/ holds, run for real"
	@echo "make lint     check the format of Swift and C, and Python and bash for faults; make format mends it"
	@echo "make crash [N=500] | crash-short | powerloss [N=200] | damage [N=200] | orphan [N=20] | slices [N=19000] | disk | shares | load |"
	@echo "     lockout | soak [MINUTES=60]   what it withstands"
	@echo "make numbers  the same mask with other threads and vector instructions?"
	@echo "make fuzz [MINUTES=30] [TARGETS='nifti http']   searches for inputs that do harm;  make tsan   for data races"
	@echo "make deps     install the Debian packages that are missing"

# Installs only what is missing, so that it needs neither root nor the network when all is there.
deps:
	@missing=$$(for package in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'install ok installed' || echo $$package; done); \
	if [ -n "$$missing" ]; then \
		echo "Installing:" $$missing; \
		sudo=$$([ $$(id -u) -eq 0 ] || echo sudo); \
		$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq $$missing >/dev/null; \
	fi
	@command -v swift >/dev/null || { echo "Swift 6.3 is needed: https://www.swift.org/install/linux/debian/"; exit 1; }

# `hepar --version` tells the commit.
build: deps
	HEPAR_COMMIT=$$(git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || echo unknown) \
		swift build $(BUILD) --product hepar

# For packages: DESTDIR is put before every path and is in none of the files. Builds only if there is no program yet.
PREFIX := /usr/local
install: $(if $(wildcard $(HEPAR)),,build)
	@HEPAR="$(HEPAR)" deploy/install.sh "$(DESTDIR)" "$(PREFIX)"

# What deploy/ holds, run for real: installs Debian packages, so it wants root.
deploy-test:
	@HEPAR="$(HEPAR)" deploy/test.sh $(PARTS)

demo: build
	@HEPAR=$(HEPAR) deploy/demo/demo.sh "$(CT)" "$(REFERENCE)"

test: deps clients-venv
	HEPAR_CLIENTS_VENV=$(CLIENTS_VENV) swift test $(BUILD) -Xswiftc -enable-testing --scratch-path .build_test
	@$(MAKE) --no-print-directory campaigns-short HEPAR=.build_test/release/hepar

model: build
	@HEPAR=$(HEPAR) deploy/model/recipe.sh "$(MODEL_DATA)" "$(MODEL_WORK)" "$(MODEL)"

clients-venv: deps
	@[ -n "$(HEPAR_CLIENTS_VENV)" ] || cmp -s Tests/Clients/requirements.txt $(CLIENTS_VENV)/complete || { \
		python3 -m venv $(CLIENTS_VENV) && $(CLIENTS_VENV)/bin/pip install -q -r Tests/Clients/requirements.txt && \
		cp Tests/Clients/requirements.txt $(CLIENTS_VENV)/complete; }

peers-venv:
	@[ -n "$(HEPAR_PEERS_VENV)" ] || [ -e $(PEERS_VENV)/complete ] || { python3 -m venv $(PEERS_VENV) && \
		$(PEERS_VENV)/bin/pip install -q -r deploy/bench/requirements.txt && touch $(PEERS_VENV)/complete; }

# What tunes Hepar's OpenBLAS must not slow the peers' NumPy.
bench-peers: build peers-venv
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE HEPAR=$(HEPAR) $(PEERS_VENV)/bin/python deploy/bench/peers.py $(PEERS)

bench-training: build peers-venv
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE HEPAR=$(HEPAR) \
		$(PEERS_VENV)/bin/python deploy/bench/training.py $(TRAINING)

# The reliability campaigns; HEPAR= names another program than the one built here. docs/reliability.md has their figures.
RELIABILITY := HEPAR=$(HEPAR) python3 deploy/reliability

crash:
	@$(RELIABILITY)/crash.py $(or $(N),500)

crash-short:
	@$(RELIABILITY)/crash.py $(or $(N),10) --short

powerloss:
	@$(RELIABILITY)/powerloss.py $(or $(N),200)

damage:
	@$(RELIABILITY)/damage.py $(or $(N),200)

orphan:
	@$(RELIABILITY)/orphan.py $(or $(N),20)

# Zips of N slices that are hard to sort.
slices:
	@$(RELIABILITY)/slices.py $(or $(N),19000)

# Needs root, to mount small file systems.
disk:
	@$(RELIABILITY)/disk.py

# What of them fits into every test run: does anything break? Lengths and aims are drawn anew each time.
campaigns-short:
	@$(RELIABILITY)/crash.py 10 --short
	@$(RELIABILITY)/powerloss.py 4
	@$(RELIABILITY)/damage.py 8
	@$(RELIABILITY)/orphan.py 1
	@$(RELIABILITY)/disk.py readonly descriptors
	@$(RELIABILITY)/load.py --short
	@$(RELIABILITY)/lockout.py --short
	@$(RELIABILITY)/soak.py 0.3
	@$(RELIABILITY)/shares.py --short

shares:
	@$(RELIABILITY)/shares.py

load:
	@$(RELIABILITY)/load.py

lockout:
	@$(RELIABILITY)/lockout.py

soak:
	@$(RELIABILITY)/soak.py $(or $(MINUTES),60)

numbers:
	@$(RELIABILITY)/same_numbers.py

# libFuzzer on every parser of what comes from outside; the sanitizers' builds have folders of their own.
fuzz: deps
	@TARGETS="$(TARGETS)" deploy/fuzz/fuzz.sh $(or $(MINUTES),30)

tsan: deps
	@deploy/fuzz/tsan.sh

# The linters of what is not Swift: HEPAR_LINT_VENV names an environment that has them.
LINT_VENV := $(or $(HEPAR_LINT_VENV),.build_lint)
C_FILES := $$(find Sources Tests deploy -name '*.[ch]' -o -name '*.cpp')
SHELL_FILES := $$(grep -rlE --exclude-dir=__pycache__ '^\#!.*bash$$|^\# shellcheck shell' .ci deploy)

lint-venv: deps
	@[ -n "$(HEPAR_LINT_VENV)" ] || cmp -s .ci/requirements.txt $(LINT_VENV)/complete || { \
		python3 -m venv $(LINT_VENV) && $(LINT_VENV)/bin/pip install -q -r .ci/requirements.txt && \
		cp .ci/requirements.txt $(LINT_VENV)/complete; }

lint: lint-venv
	swift format lint --strict --recursive --parallel Sources Tests Package.swift
	$(LINT_VENV)/bin/ruff check --quiet
	$(LINT_VENV)/bin/shellcheck --severity warning $(SHELL_FILES)
	$(LINT_VENV)/bin/clang-format --dry-run --Werror $(C_FILES)
	python3 deploy/docs/floors.py --check

format: lint-venv
	swift format --in-place --recursive --parallel Sources Tests Package.swift
	$(LINT_VENV)/bin/ruff check --quiet --fix
	$(LINT_VENV)/bin/clang-format -i $(C_FILES)

clean:
	rm -rf .build .build_test .build_lint .build-fuzz .build-tsan
