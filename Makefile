# make repro   the whole pipeline on what params.yaml says
# make test    the tests
# make lock    requirements.txt anew from requirements.in
# make lint    ruff

PYTHON ?= python3.11
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: repro test lock lint

repro: .venv/installed
	dvc repro

test: .venv/installed
	python -m pytest

lint: .venv/installed
	ruff check .
	ruff format --check .

lock: .venv/installed
	pip-compile --strip-extras --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.txt requirements.in
	sed -i 's/^\(torch==[^+]*\)+.*/\1/' requirements.txt  # a build such as +cpu is to be had here and there, the version everywhere

.venv/installed: requirements.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@
