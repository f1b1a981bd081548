# make repro   the whole pipeline on what params.yaml says
# make test    the tests
# make lint    ruff
# make lock    the locks anew, requirements.txt from requirements.in, and that of the cluster

PYTHON ?= python3.11
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: repro test lint lock committed

repro: committed .venv/installed
	dvc repro

committed:
	@git rev-parse --verify --quiet HEAD >/dev/null 2>&1 || { echo "error: no Git repository with a commit, which DVC needs, \
	as after the download of a ZIP; clone it with Git, or here: git init && git add -A && git commit -m start" >&2; exit 1; }

test: .venv/installed
	python -m pytest

lint: .venv/installed
	ruff check .
	ruff format --check .

lock: .venv/installed
	pip-compile --strip-extras --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.txt requirements.in
	pip-compile --strip-extras --no-emit-index-url --no-emit-find-links --quiet --output-file requirements-cluster.txt requirements-cluster.in
	sed -i 's/^\(torch==[^+]*\)+.*/\1/' requirements.txt  # a build such as +cpu is not everywhere, the version is

# What the lock holds, and then emopipe itself, built with the setuptools that the lock brings.
.venv/installed: requirements.txt pyproject.toml
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
