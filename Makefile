# Each target first brings the machine to where it can run (scripts/setup); that is quick when it is there.
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1|\2/' | column -t -s '|'

.PHONY: demo
demo: ## One governed run, from issue to approved patch, replay and a detected alteration
	@sh scripts/setup.sh demo
	@$(BIN)/python scripts/demo.py

.PHONY: test
test: ## Every test, on a real Temporal server, Docker engine and PostgreSQL
	@sh scripts/setup.sh test
	@$(BIN)/python -m compileall -q src/interlock  # hundreds of processes read it, also where none may write
	@$(BIN)/python -m pytest -n auto --no-loadscope-reorder

.PHONY: check
check: ## Style, types and layers: ruff, mypy, import-linter
	@sh scripts/setup.sh check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=scripts/setup $(BIN)/mypy scripts/setup
	$(BIN)/lint-imports

.PHONY: fuzz
fuzz: ## Ten minutes of hostile policy files, conditions and requests (MINUTES=1 for less)
	@sh scripts/setup.sh check
	@PYTHONPATH=tests $(BIN)/python -m policy.fuzz --minutes $(or $(MINUTES),10)

.PHONY: chaos
chaos: ## 300 runs, parts killed and broken as a printed seed says (SEED=, RUNS=, STORE=sqlite or postgres)
	@sh scripts/setup.sh test
	@$(BIN)/python -m pytest tests/chaos/test_schedule.py -q -p no:xdist --chaos-runs $(or $(RUNS),300) \
		--chaos-seed $(or $(SEED),$(shell date +%s)) $(if $(STORE),--chaos-store $(STORE))

.PHONY: endure
endure: ## One run of 5,000 steps with 200 approvals, verified as one chain (STEPS= for less)
	@sh scripts/setup.sh test
	@$(BIN)/python -m pytest tests/run/test_long_run.py -q -p no:xdist --long-run-steps $(or $(STEPS),5000)

.PHONY: histories
histories: ## Record the histories that later versions must replay (tests/replay/histories/VERSION)
	@sh scripts/setup.sh test
	@$(BIN)/python tests/replay/record.py

.PHONY: dev
dev: ## Temporal, executor and graph worker in the foreground, for this project
	@sh scripts/setup.sh dev
	@$(BIN)/interlock dev

.PHONY: images
images: ## The images of docker-compose.yml, built here from Debian packages
	@sh scripts/setup.sh dev
	@$(BIN)/python scripts/build_images.py

.PHONY: clean
clean: ## Remove what the targets made in this folder (keeps .interlock: keys and ledgers)
	rm -rf .venv .state dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
