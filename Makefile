# Every command a newcomer needs. `make help` prints this list from the ## comments.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := libs/common libs/content services/contacts services/campaigns services/delivery services/analytics libs/barid
WORKERS ?= 3
T ?= tests

.PHONY: help install lock demo up down kafka test test-all check format bench chaos chaos-table docs k8s-schemas images secrets compose-smoke clean

help: ## print this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## install everything into .venv, by hash

$(VENV)/.installed: requirements.lock $(addsuffix /pyproject.toml,$(PACKAGES))
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	@touch $@

lock: ## resolve the dependencies again into requirements.lock
	$(BIN)/python tools/lock.py

demo: install ## run the whole main job once, on this machine, and print the closed books
	@$(BIN)/barid demo

up: install ## start Barid on this machine and leave it running
	@$(BIN)/barid up

down: ## stop what `make up` started
	@test ! -x $(BIN)/barid || $(BIN)/barid down

kafka: install ## start a real Kafka broker and print its address (KAFKA_PORT=9092)
	@$(PYTHON) -m tools.kafka

test: install ## the tests, on a real PostgreSQL and Kafka (T=path for a part, WORKERS=n)
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "not slow" $(T)

test-all: install ## the tests with the slow ones: full kill matrix, 10,000-example properties
	@HYPOTHESIS_PROFILE=thorough $(BIN)/pytest --timeout 1800 -n $(WORKERS) --dist loadgroup $(T)

check: install ## format, lint, types, import contracts, generated documents, Dockerfiles
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tools/docs.py --check
	@$(BIN)/hadolint --config .hadolint.yaml services/*/Dockerfile libs/barid/Dockerfile deploy/images/Dockerfile

format: install ## format the code and mend what ruff can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install ## measure the hot paths beside their floors (ONLY=send,import)
	@$(BIN)/python -m tests.load $(if $(ONLY),--only $(ONLY))

chaos: install ## faults against real processes, checked by identity (ONLY=F8 SEED=1 BUS=kafka SIZE=20000)
	@$(BIN)/python -m tests.chaos $(foreach one,ONLY SEED BUS SIZE KEEP,$(if $($(one)),--$(shell echo $(one) | tr A-Z a-z) $($(one))))

chaos-table: install ## write what `make chaos` measured (var/chaos.json) into the README
	@$(BIN)/python -m tests.chaos --table README.md

docs: install ## generate docs/openapi.json, docs/asyncapi.yaml and the schemas
	@$(BIN)/python tools/docs.py

images: install ## build every image and print their sizes (Docker; else podman and stand-ins, as root)
	@$(BIN)/python -m tools.images

secrets: install ## make the secrets of docker-compose.yml in var/compose/secrets, once
	@$(BIN)/python -m tools.compose_secrets

compose-smoke: images ## the main job on all of docker-compose.yml, through its one address; then down again
	@$(BIN)/python -m tools.compose_smoke

k8s-schemas: install ## fetch the published schemas of the custom resources in deploy/k8s (Go, Java 17, Maven)
	@$(BIN)/python -m tools.crds

clean: ## remove what was built and what ran here
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis
