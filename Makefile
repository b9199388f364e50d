# Two commands matter: `make demo` and `make test`. Both set up what they need.

PYTHON ?= python3.11
OUT ?= out/demo
PHOTO ?= samples/man.jpg,samples/woman.jpg,samples/portrait.jpg
comma := ,

# Dependencies live in environments for all checkouts that ask for the same versions: all of them, and those of the demo,
# which needs neither PyTorch nor what only developers need.
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/uvatar
LOCK := requirements.lock
DEMO_LOCK := constraints/linux-py311-blender.txt
environment_of = $(CACHE)/env-$(shell $(PYTHON) -c "import hashlib,sys;print(hashlib.sha256(open('$(1)','rb').read()+sys.version.encode()).hexdigest()[:16])")
DEPENDENCIES := $(call environment_of,$(LOCK))
DEMO_DEPENDENCIES := $(call environment_of,$(DEMO_LOCK))
BIN := .venv/bin
# uvatar, uvatar-training and uvatar-blender; the version of all three is in backend/uvatar/protocol/version.py.
PROJECTS := . training blender_addon
SOURCES := backend benchmarks blender_addon tools training tests hatch_build.py
VERSION := backend/uvatar/protocol/version.py
PIP_OPTIONS := --quiet --disable-pip-version-check --no-deps --require-hashes
# Two cores: two test processes, one thread each, are faster than two threads that wait for each other.
TEST_THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

# The newest packages that pyproject.toml allows, without bpy and training, on the newest Python that it allows.
NEWEST_PYTHON ?= python3.12
NEWEST := $(CACHE)/newest-$(notdir $(NEWEST_PYTHON))
NEWEST_TESTS := tests/test_photo.py tests/test_pipeline.py tests/test_preview.py tests/test_self_test.py tests/texturing tests/perception \
  tests/fitting tests/evaluation tests/body tests/mesh_predictor tests/texture_predictor tests/transfer

.PHONY: demo test test-gpu test-newest test-ui lint lock self-test-values onnx viewer bench dist docs addon clean

demo: $(DEMO_DEPENDENCIES)/complete
	$(PYTHON) blender_addon/copy_protocol.py
	PYTHONPATH=$(CURDIR)/backend:$(CURDIR)/blender_addon \
	  $(DEMO_DEPENDENCIES)/bin/python -m uvatar reconstruct $(foreach photo,$(subst $(comma), ,$(PHOTO)),"$(photo)") --out "$(OUT)" --open

test: .venv/ready tests/gltf/node_modules/.package-lock.json
	$(TEST_THREADS) $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# CUDA beside the CPU, with times: needs an NVIDIA GPU, and onnxruntime-gpu in place of onnxruntime. Takes under 5 minutes.
test-gpu: .venv/ready
	timeout 300 $(BIN)/python -m pytest -s -m gpu tests/gpu $(ARGS)

# What `pip install .` takes where nothing holds it back, in an environment of its own (5 GB) that every run brings up to date.
test-newest:
	[ -e $(NEWEST)/bin/python ] || $(NEWEST_PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager ".[dev]"
	$(NEWEST)/bin/python -m pip freeze
	export PYTHONPATH=$(CURDIR); \
	$(NEWEST)/bin/python -m uvatar.engine.self_test && $(TEST_THREADS) $(NEWEST)/bin/python -m pytest -n 2 --dist loadfile $(NEWEST_TESTS) $(ARGS)

# The panel in a real Blender with a window (4.3 and 5.2), in Debian roots that are built once: 1.5 GB each, needs root rights.
test-ui: .venv/ready
	for suite in trixie sid; do UVATAR_UI=1 UVATAR_UI_SUITE=$$suite $(BIN)/python -m pytest -rs tests/blender_window $(ARGS) || exit 1; done

lint: .venv/ready
	$(BIN)/python blender_addon/copy_protocol.py
	$(BIN)/python -m ruff check $(SOURCES)
	$(BIN)/python -m ruff format --check $(SOURCES)
	$(BIN)/python tools/check_sizes.py
	PYTHONPATH=backend:training:blender_addon $(BIN)/python -c "from importlinter import cli; cli.lint_imports_command(['--no-logo', '--no-cache'])"
	$(BIN)/python -m mypy

# The packages that users, tests, demo and Set Up install: see docs/install.md.
lock: .venv/ready
	$(BIN)/python tools/lock_dependencies.py $(UPGRADE)

self-test-values: .venv/ready
	$(BIN)/python tools/record_self_test.py

# The networks that ship, for ONNX Runtime: weights/*.onnx.
onnx: .venv/ready
	PYTHONPATH=$(CURDIR) $(BIN)/python tools/export_onnx.py $(ARGS)

# What the page beside every avatar runs, of tools/viewer/src and three.js: backend/uvatar/viewer/viewer.js. Needs npm.
viewer:
	npm ci --prefix tools/viewer --no-audit --no-fund --loglevel=error
	npm run build --prefix tools/viewer

bench: .venv/ready
	$(BIN)/python -m benchmarks $(ARGS)

# The wheels and source distributions of all three; each wheel is built from its source distribution.
dist: .venv/ready
	for project in $(PROJECTS); do $(BIN)/python -m build --no-isolation --outdir dist $$project || exit 1; done
	$(BIN)/python -m twine check --strict dist/uvatar*.whl dist/uvatar*.tar.gz

# API pages, made of the docstrings: build/docs/index.html.
docs: .venv/ready
	$(BIN)/python tools/make_docs.py

addon: .venv/ready
	$(BIN)/python tools/build_addon.py
	$(BIN)/python tools/build_addon.py --with-backend

clean:
	rm -rf .venv build dist out

$(DEPENDENCIES)/complete: list = $(LOCK)
$(DEMO_DEPENDENCIES)/complete: list = $(DEMO_LOCK)
# uv downloads and unpacks many packages at once. It does not read what pip is set to; where it fails, pip installs.
# Its cache lies in the environment: packages are moved out of it, not copied, and nothing is left behind.
$(DEPENDENCIES)/complete $(DEMO_DEPENDENCIES)/complete:
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install $(PIP_OPTIONS) -r constraints/uv.txt
	UV_CACHE_DIR=$(@D)/cache $(@D)/bin/uv --no-config pip install --quiet --python $(@D)/bin/python --no-deps --require-hashes -r $(list) \
	  || $(@D)/bin/python -m pip install $(PIP_OPTIONS) -r $(list)
	rm -rf $(@D)/cache
	touch $@

# The checkout's own environment is a few kilobytes: it borrows the dependencies and adds this source tree to them.
.venv/ready: $(PROJECTS:%=%/pyproject.toml) $(VERSION) $(LOCK) $(DEPENDENCIES)/complete
	rm -rf .venv
	$(PYTHON) -m venv --without-pip .venv
	$(BIN)/python -c "import pathlib,sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'dependencies.pth').write_text('import site; site.addsitedir(r\"%s\")' % '$(shell $(DEPENDENCIES)/bin/python -c "import sysconfig;print(sysconfig.get_path('purelib'))" 2>/dev/null)')"
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation $(PROJECTS:%=--editable %)
	touch $@

# Khronos' validator, three.js and its VRM loader, with which the tests read the glTF files that Uvatar writes, and the
# Chromium in which they open its pages.
tests/gltf/node_modules/.package-lock.json: tests/gltf/package-lock.json
	npm ci --prefix tests/gltf --no-audit --no-fund --loglevel=error || echo "npm is missing or failed: NO GLTF FILE IS VALIDATED, NO PAGE IS OPENED."
