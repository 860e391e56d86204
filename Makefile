# Two commands do everything: `make run` and `make test`. The rest is for those who work on the code.

PYTHON ?= python3

.PHONY: run demo install test check bench lock
.DEFAULT_GOAL := run

run:      ## Set up what is missing and serve on http://127.0.0.1:8081.
	@$(PYTHON) -m launcher run

demo:     ## The same server with invented books: make demo SPEED=20 ORCHESTRATORS=12
	@$(PYTHON) -m launcher demo

install:  ## Set up the virtual environment only.
	@$(PYTHON) -m launcher install

test:     ## The whole suite, in parallel: make test ARGS="-k ledger"
	@$(PYTHON) -m launcher test $(ARGS)

check:    ## Format, lint, types, import contracts, missing migrations, deployment.
	@$(PYTHON) -m launcher check

bench:    ## Measure, and compare with the reference application.
	@$(PYTHON) -m launcher bench $(ARGS)

lock:     ## Resolve requirements*.in again; versions change only where the lists ask for it.
	@for list in requirements requirements-dev; do \
		.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links \
			--custom-compile-command "make lock   ($$list.in says why each package is here)" \
			$$list.in --output-file $$list.txt || exit 1; \
	done
