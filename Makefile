# make serve [PORT=8042] [DATA=lenticular-data] [WORKERS=n]   start the server
# make test      install what the tests need, and run them but for those that take long
# make test-all  run them all, as CI does
# make check     lint and type-check
# make bench     compare with Orthanc on this machine, if it is installed
# make verify URL=… [STACK=name] [ARGS="--sign …"]   prove that a deployment works and is closed
# make cost      a month on AWS  [STUDIES=1000 a day] [IMAGES=300 each] [MEGABYTES=0.5 each]
# make viewer    fetch the viewer (OHIF, from npm), which the server then shows at /ohif/
# make build     the layers of the Lambda functions, on any host  [ARCHITECTURE=arm64] [RDS_CA=file.pem|none]
# make stack     the whole stack on this machine: LocalStack, MariaDB, the functions  [STACK_PORT=4566]
# make check-template  sam validate --lint in three partitions, and checkov (.checkov.yaml)
# make stack-image  an image for the functions under Docker, where AWS's cannot be pulled
# make stack-test   test it from outside; make stack-down stops it; docs/localstack.md tells more

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CREATED := $(VENV)/created
INSTALLED := $(VENV)/installed
TESTING := $(VENV)/testing

.PHONY: serve test test-all check verify cost bench clean viewer build stack stack-image check-template stack-test stack-down

# Neighbouring tests share servers and databases; a worker without work takes some of another's.
PYTEST = $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal --backend embedded --backend aws

DATA ?= lenticular-data

serve: $(INSTALLED)
	@$(BIN)/lenticular serve $(if $(PORT),--port $(PORT)) --data "$(DATA)" $(if $(WORKERS),--workers $(WORKERS))

test: $(TESTING)
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(TESTING)
	$(PYTEST) $(ARGS)

check: $(TESTING)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(TESTING)
	$(BIN)/python -m bench $(ARGS)

verify: $(INSTALLED)
	@test -n "$(URL)" || { echo "Name the address: make verify URL=https://… (output ApiUrl)"; exit 2; }
	@$(BIN)/python -c 'import boto3' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[aws]'
	@$(BIN)/lenticular verify "$(URL)" $(if $(STACK),--stack "$(STACK)") $(ARGS)

cost: $(CREATED)
	@$(BIN)/python -m bench.cost $(if $(STUDIES),--studies $(STUDIES)) \
		$(if $(IMAGES),--images $(IMAGES)) $(if $(MEGABYTES),--megabytes $(MEGABYTES))

viewer: build/viewer/index.html

build/viewer/index.html: viewer/build.py viewer/app-config.js | $(CREATED)
	$(BIN)/python viewer/build.py build/viewer

build: $(CREATED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25'
	$(MAKE) -C layers all certificates PYTHON=$(abspath $(BIN)/python) \
		$(if $(ARCHITECTURE),ARCHITECTURE=$(ARCHITECTURE)) \
		$(if $(RDS_CA),RDS_CA=$(if $(filter none,$(RDS_CA)),none,$(abspath $(RDS_CA))))

# LocalStack has no Aurora, whose certificates would be needed.
stack:
	$(MAKE) build RDS_CA=$(or $(RDS_CA),none)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python localstack/stack.py up

stack-image: $(CREATED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python localstack/stack.py image

stack-test: $(TESTING)
	$(BIN)/python -m pytest tests/stack tests/web --backend stack $(ARGS)

check-template: $(CREATED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python localstack/check_template.py

stack-down:
	$(BIN)/python localstack/stack.py down

clean:
	rm -rf $(VENV) build layers/lenticular/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# An interrupted run leaves a virtual environment without pip; such a one is made anew.
$(CREATED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with PYTHON=…"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
		{ echo "The virtual environment cannot be made. On Debian: apt install python3-venv"; exit 1; }
	@touch $@

$(INSTALLED): $(CREATED) pyproject.toml
	@echo "Installing into $(VENV) (about a minute, 300 MB) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(TESTING): $(CREATED) pyproject.toml
	@echo "Installing into $(VENV) what the tests need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(INSTALLED)
