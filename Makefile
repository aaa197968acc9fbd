# `make` alone lists the targets. All of them are safe to repeat.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
PIP_ARGS ?=# what your pip needs, e.g. --extra-index-url with the CPU or CUDA builds of torch
DATA ?= $(or $(MMAIF_DATA),../shared/data)# research data with pairs/, photos/ and real/
CONFIG ?= tiny
SYNTH_ARGS ?=# of make shards, e.g. --limit 64
TRAIN_ARGS ?=# e.g. --restart, where the shards have changed
RECIPE ?= mef_haze
OUT ?= runs/$(RECIPE)
AE_ARGS ?=# e.g. --precision bf16, twice as fast where a CPU has avx512_bf16

RELEASE ?= $(if $(wildcard /dev/nvidia0),release,release-cpu-days)# the config of make train-release
RELEASE_OUT ?= runs/train-release
RENDER ?= 16384# samples that it renders; a larger number later adds to them
WATCH ?= 96# of scenes held out, for looks on the way
SAMPLES ?=# that it trains on in all, where the config's number is not wanted
WORKERS ?=# processes that render
INIT ?=# weights that it begins from: release, or a folder

MINUTES ?= 8
GPU_OUT ?= out/gpu
PACK_ARGS ?=# e.g. --pairs-mib 21 --photos-mib 18
GPU_ARGS ?=# e.g. --init runs/release/weights

GPU_PYTHON := PYTHONPATH=/tmp/site:.gpu/text:. PYTHONUNBUFFERED=1 $(PYTHON)
BIN := .venv/bin
INSTALLED := .venv/.installed
RECIPES := $(basename $(notdir $(wildcard recipes/*.yaml)))
PROMPT := remove the haze and fuse the images
DEMO_PAIR := out/demo/pair/000000000.a.png out/demo/pair/000000000.b.png

BENCHES := $(shell sed -nE 's/^(bench-[a-z-]+):.*/\1/p' $(MAKEFILE_LIST))

.PHONY: help install demo dist docs shards train train-release test test-slow test-release lint bench peers openfocus foreign benchmark results gpu-pack gpu-autoencoder gpu-train autoencoder gallery clean FORCE $(BENCHES)

help: ## this list
	@grep -hE '^[a-z/%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([^:]+):.*## /\1\t/' | expand -t 16
	@echo; echo "recipes: $(RECIPES)"

install: $(INSTALLED) ## .venv with both programs and all that tests them

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --quiet $(PIP_ARGS) -c constraints.txt -e '.[trainer,dev]'
	touch $@

demo: $(INSTALLED) ## a held-out pair fused under two sentences; then shards, a sheet and a minute of training, on built-in photographs
	$(BIN)/synth generate --recipe mef_haze_test.yaml --out shards/mef_haze_test --overwrite
	mkdir -p out/demo/pair && tar -xf shards/mef_haze_test/000000.tar -C out/demo/pair
	$(BIN)/trainer fuse $(DEMO_PAIR) --prompt "$(PROMPT)" --out out/demo/clear.png
	$(BIN)/trainer fuse $(DEMO_PAIR) --prompt "keep the haze and fuse the images" --out out/demo/hazy.png
	@echo "fused:   out/demo/clear.png and out/demo/hazy.png, by the weights that ship, under two sentences (inputs and truth: out/demo/pair/)"
	$(BIN)/synth generate --recipe mef_haze.yaml --out shards/mef_haze --overwrite
	$(BIN)/synth preview shards/mef_haze --out out/demo/preview.png
	$(BIN)/trainer train --shards shards/mef_haze --config tiny --out runs/demo --restart
	$(BIN)/trainer fuse $(DEMO_PAIR) --prompt "$(PROMPT)" --weights runs/demo/weights --out out/demo/fused.png
	@echo "samples: out/demo/preview.png, which a tiny network has learnt from in a minute"
	@echo "fused:   out/demo/fused.png, by that network ($(PROMPT))"

shards: $(addprefix shards/,$(RECIPES)) ## the datasets of all recipes

shards/%: recipes/%.yaml $(INSTALLED) FORCE ## one dataset, from recipes/NAME.yaml
	$(BIN)/synth generate --recipe $< --out $@ --overwrite $(SYNTH_ARGS)

train: $(INSTALLED) ## a model on shards/RECIPE (RECIPE=, CONFIG=, OUT=)
	$(BIN)/trainer train --shards shards/$(RECIPE) --config $(CONFIG) --out $(OUT) $(TRAIN_ARGS)

HELD_OUT := held_out: 0.15, held_out_val: 0.05
# of the scenes: 15% are for bench.foreign, which chooses between models, and 5% for looks on the way

train-release: $(INSTALLED) ## the weights that ship: renders, then trains; the same again goes on (DATA=, RELEASE=, RENDER=, SAMPLES=, WORKERS=, INIT=, TRAIN_ARGS=)
	@test -d $(DATA)/pairs/train || { echo "DATA=$(DATA): no pairs/train in it; give DATA=DIR with pairs/train/{vif,mef,mff}, and perhaps photos/train" >&2; exit 2; }
	mkdir -p $(RELEASE_OUT)/data
	for task in vif mef mff; do ln -sfn $(abspath $(DATA))/pairs/train/$$task $(RELEASE_OUT)/data/$$task; done
	if [ -d $(DATA)/photos/train ]; then ln -sfn $(abspath $(DATA))/photos/train $(RELEASE_OUT)/data/photos; fi
	(cat recipes/release.yaml; echo 'data: {split: train, $(HELD_OUT)}') > $(RELEASE_OUT)/train.yaml
	(sed 's/^name: .*/name: watch/; s/^seed: .*/seed: 1000003/; s/phrases: train/phrases: test/' recipes/release.yaml; \
	  echo 'data: {split: val, $(HELD_OUT)}') > $(RELEASE_OUT)/watch.yaml
	$(BIN)/synth generate --recipe $(RELEASE_OUT)/watch.yaml --data $(RELEASE_OUT)/data --extend $(WATCH) \
	  --out $(RELEASE_OUT)/watch $(addprefix --workers ,$(WORKERS))
	$(BIN)/synth generate --recipe $(RELEASE_OUT)/train.yaml --data $(RELEASE_OUT)/data --extend $(RENDER) \
	  --out $(RELEASE_OUT)/shards $(addprefix --workers ,$(WORKERS))
	$(BIN)/trainer train --shards $(RELEASE_OUT)/shards --val-shards $(RELEASE_OUT)/watch --config $(RELEASE) \
	  $(addprefix --init ,$(INIT)) $(addprefix --samples ,$(SAMPLES)) --out $(RELEASE_OUT)/run $(TRAIN_ARGS)

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

JOBS ?= 2# tests at a time
SLOW_JOBS ?= 3# of the slow ones, which wait for much: for processes that end, servers, the disk
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --dist loadfile

test: lint ## lint, types and all quick tests (JOBS=2 at a time)
	$(PYTEST) -n $(JOBS) -m "not slow"

test-slow: $(INSTALLED) ## kills, servers, browsers, the README's own commands (SLOW_JOBS=3 at a time)
	$(PYTEST) -n $(SLOW_JOBS) -m slow

PYTHONS ?= python3.11 python3.12 python3.13# that a release is tried on, the oldest first
RELEASE_TESTS ?=# which tests it is tried by, e.g. -m "not slow"; all, without it
HERE = $* --version > /dev/null 2>&1 || { echo "$*: not on this machine; PYTHONS=\"…\" names those that are" >&2; exit 2; }
VERSIONS := $(firstword $(PYTHONS))-oldest $(addsuffix -newest,$(PYTHONS))

test-release: release-readers release-openfocus $(addprefix release-,$(VERSIONS)) ## before a release, hours: all tests on each of PYTHONS= with the newest packages, on the first with the oldest

release-readers: .venv-release/readers/.installed ## our shards read whole by webdataset, Hugging Face datasets, DuckDB, pandas, polars
	.venv-release/readers/bin/pytest tests/release/test_readers.py tests/release/test_documents.py

release-openfocus: $(INSTALLED) openfocus ## OpenFocus itself as a row of trainer evaluate
	$(BIN)/pytest tests/release/test_openfocus.py

release-%: .venv-release/%/.installed ## all tests, or RELEASE_TESTS=, with one: release-python3.13-newest, release-python3.11-oldest
	OMP_NUM_THREADS=1 .venv-release/$*/bin/pytest --dist loadfile -n $(SLOW_JOBS) $(RELEASE_TESTS)

.venv-release/readers/.installed: pyproject.toml constraints.txt tests/release/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --disable-pip-version-check --quiet $(PIP_ARGS) -c constraints.txt -e . \
	  -r tests/release/requirements.txt
	touch $@

.venv-release/%-newest/.installed: pyproject.toml
	@$(HERE)
	$* -m venv --clear $(@D)
	$(@D)/bin/pip install --disable-pip-version-check --quiet $(PIP_ARGS) -e '.[trainer,dev]'
	touch $@

.venv-release/%-oldest/.installed: pyproject.toml
	@$(HERE)
	$* -m venv --clear $(@D)
	$(@D)/bin/pip install --disable-pip-version-check --quiet uv
	$(@D)/bin/uv pip compile --quiet --resolution lowest-direct --python $(@D)/bin/python pyproject.toml \
	  --extra trainer --extra dev --output-file $(@D)/oldest.txt
	$(@D)/bin/pip install --disable-pip-version-check --quiet $(PIP_ARGS) -c $(@D)/oldest.txt -e '.[trainer,dev]'
	touch $@

bench: $(INSTALLED) ## start-up times; bench-effects, bench-severity, bench-realism, bench-targets, ... measure more
	$(BIN)/python -m bench.startup

peers: .venv-peers/.installed # albumentations and imagecorruptions, which want another OpenCV, in an environment of their own

.venv-peers/.installed: bench/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --disable-pip-version-check --quiet -r bench/peers.txt
	.venv-peers/bin/pip install --disable-pip-version-check --quiet --no-deps imagecorruptions==1.1.2
	touch $@

openfocus: .venv-openfocus/.installed ## OpenFocus, for `trainer evaluate --openfocus .venv-openfocus/bin/openfocus`, in an environment of its own

.venv-openfocus/.installed: bench/openfocus.txt
	$(PYTHON) -m venv .venv-openfocus
	.venv-openfocus/bin/pip install --disable-pip-version-check --quiet $(PIP_ARGS) -r bench/openfocus.txt
	touch $@

bench-effects: $(INSTALLED) peers ## speed of every effect beside its peers, into docs/effects.md
	$(BIN)/python -m bench.effects

bench-severity: $(INSTALLED) ## what a severity costs, into docs/effects.md (DATA=)
	$(BIN)/python -m bench.severity --photos $(DATA)/photos/test

bench-realism: $(INSTALLED) ## ours beside real weather, into docs/effects.md (DATA=)
	$(BIN)/python -m bench.realism --data $(DATA)

bench-rooms: $(INSTALLED) ## whether rooms are told from streets, into docs/effects.md (DATA=)
	$(BIN)/python -m bench.rooms --pairs $(DATA)/pairs

bench-roles: $(INSTALLED) ## infrared and depth in false colours, and photographs taken for them, into docs/dataset.md (DATA=)
	$(BIN)/python -m bench.roles --pairs $(DATA)/pairs

bench-nights: $(INSTALLED) ## days taken for nights, and nights missed, into docs/effects.md (DATA=)
	$(BIN)/python -m bench.nights --pairs $(DATA)/pairs/train --pairs $(DATA)/pairs/test

bench-fog: $(INSTALLED) ## skies, depths and focus in fog, into docs/effects.md (DATA=)
	$(BIN)/python -m bench.fog --pairs $(DATA)/pairs/train --pairs $(DATA)/pairs/test

bench-instructions: $(INSTALLED) ## quotas, sentences and a picture, into docs/
	$(BIN)/python -m bench.instructions

bench-targets: $(INSTALLED) ## targets beside simple fusions, into docs/targets.md, sheets into out/ (DATA=)
	$(BIN)/python -m bench.targets --pairs $(DATA)/pairs/test

bench-target-faults: $(INSTALLED) ## people lost in white, blotches, edges of padding in targets, into docs/targets.md (DATA=)
	$(BIN)/python -m bench.target_faults --pairs $(DATA)/pairs/train --pairs $(DATA)/pairs/test

bench-brackets: $(INSTALLED) ## crushed shadows and clipped lights in targets of brackets, into docs/targets.md (DATA=)
	$(BIN)/python -m bench.brackets --pairs $(DATA)/pairs/train --pairs $(DATA)/pairs/test

bench-pairs: $(INSTALLED) ## pairs made of photographs beside real ones, and camera curves, into docs/dataset.md (DATA=)
	$(BIN)/python -m bench.camera_curves --data $(DATA)
	$(BIN)/python -m bench.made_pairs --data $(DATA)

bench-synth: $(INSTALLED) peers ## samples a second beside codecs and plain scripts, into docs/dataset.md (DATA=)
	$(BIN)/python -m bench.synth --pairs $(DATA)/pairs/train

bench-encodings: $(INSTALLED) ## size and time of the encodings of inputs, into docs/dataset.md (DATA=)
	$(BIN)/python -m bench.encodings --pairs $(DATA)/pairs/train

bench-memory: $(INSTALLED) ## memory of a worker over 20,000 samples of 512 px, into docs/dataset.md (DATA=)
	$(BIN)/python -m bench.memory --pairs $(DATA)/pairs/train

bench-scale: $(INSTALLED) ## what 100 million samples take, computed from what this machine measures, into docs/scale.md (DATA=)
	$(BIN)/python -m bench.scale --pairs $(DATA)/pairs/train

foreign: $(INSTALLED) peers ## a test set of damage by other code into out/foreign, and what plain fusions reach on it (DATA=)
	$(BIN)/python -m bench.foreign make --pairs $(DATA)/pairs
	$(BIN)/python -m bench.foreign score --half choices

SET ?= demo
DIR ?=# the public data set that it wants
SIGNATURE ?= $(if $(filter demo,$(SET)),benchmark/demo)
WEIGHTS ?= release

benchmark: $(INSTALLED) ## a set of docs/benchmark.md: rendered, held to a signature, measured (SET=, DIR=, SIGNATURE=, WEIGHTS=)
	$(BIN)/synth generate --recipe benchmark/$(SET) $(addprefix --data ,$(DIR)) --out shards/$(SET)
	$(BIN)/synth verify shards/$(SET) --all $(addprefix --against ,$(SIGNATURE))
	$(BIN)/trainer evaluate --shards shards/$(SET) --weights $(WEIGHTS) --shuffled -o out/benchmark/$(SET)

results: $(INSTALLED) peers openfocus ## what the weights that ship reach on test pairs, into docs/results.md and README.md (DATA=)
	$(BIN)/synth generate --recipe test.yaml --data $(DATA)/pairs/test --limit 612 --out shards/test
	$(BIN)/python -m bench.foreign make --half table --pairs $(DATA)/pairs
	$(BIN)/python -m bench.results --shards shards/test --openfocus .venv-openfocus/bin/openfocus

gpu-pack: $(INSTALLED) ## what travels to a machine with a GPU that one has for minutes, into .gpu/ (docs/gpu.md; DATA=, PACK_ARGS=)
	$(BIN)/python -m bench.gpu pack --data $(DATA) $(PACK_ARGS)

gpu-autoencoder: ## on that machine: the autoencoder (MINUTES=, GPU_OUT=)
	$(GPU_PYTHON) -m bench.gpu autoencoder --minutes $(MINUTES) --out $(GPU_OUT)

gpu-train: ## on that machine: the network, on samples that are rendered meanwhile (MINUTES=, GPU_OUT=, GPU_ARGS=)
	$(GPU_PYTHON) -m bench.gpu train --minutes $(MINUTES) --out $(GPU_OUT) $(GPU_ARGS)

bench-gpu: ## on that machine: speed of training steps and fusions, and where a step's time goes (two minutes)
	$(GPU_PYTHON) -m bench.gpu speed

bench-reader: $(INSTALLED) ## reading shards beside webdataset and beside what bounds it, into docs/training.md
	$(BIN)/python -m bench.reader

bench-train: $(INSTALLED) ## what the training loop costs beside the network, into docs/training.md
	$(BIN)/python -m bench.loop

bench-model: $(INSTALLED) ## the network's time beside a plain DiT of equal operations, one CPU thread
	$(BIN)/python -m bench.model

autoencoder: $(INSTALLED) ## train the autoencoder anew, hours; the same again resumes (DATA=, AE_ARGS=)
	$(BIN)/synth generate --recipe all_in_one.yaml --data $(DATA)/pairs/train --limit 600 --out shards/ae_degraded
	$(BIN)/trainer autoencoder train --photos $(DATA)/photos/train --pairs $(DATA)/pairs/train \
	  --shards shards/ae_degraded --out runs/autoencoder $(AE_ARGS)

bench-fuse: $(INSTALLED) ## time and memory of `trainer fuse` on one CPU thread, up to 8K, into docs/results.md
	$(BIN)/python -m bench.fuse

bench-autoencoder: $(INSTALLED) ## the round trip of the shipped autoencoder, its time and memory (DATA=)
	$(BIN)/synth generate --recipe test.yaml --data $(DATA)/pairs/test --limit 120 --out shards/ae_test --overwrite
	$(BIN)/trainer autoencoder eval mmaif --images $(DATA)/photos/test --pairs $(DATA)/pairs/test \
	  --shards shards/ae_test --sheet out/autoencoder/sheet.png
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m bench.autoencoder

.PHONY: docs
docs: $(INSTALLED) ## the documentation as a site in out/site, which opens without a server
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "out/site/index.html"

gallery: $(INSTALLED) peers ## docs/gallery.jpg: every effect, and the weather of the peers
	$(BIN)/python -m bench.gallery

dist: $(INSTALLED) ## dist/: an sdist, and the wheel that it builds
	$(BIN)/python -m build --no-isolation --outdir dist .

clean: ## remove built shards, runs, pictures and caches (not .venv)
	find shards -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
	rm -rf out runs dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
