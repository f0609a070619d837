#!/usr/bin/env bash
# Renew the lock files from pyproject.toml (needs uv). `bash scripts/lock.sh --upgrade` takes newer versions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lock() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header "$@"; }

lock "$@" pyproject.toml --extra gpu --group build --output-file requirements.lock
lock "$@" pyproject.toml --extra gpu --group dev --constraint requirements.lock --output-file requirements-dev.lock
lock "$@" pyproject.toml --extra codecarbon --constraint requirements-dev.lock --output-file requirements-codecarbon.lock
lock "$@" pyproject.toml --extra train --extra report --constraint requirements-dev.lock \
  --constraint requirements-codecarbon.lock --output-file requirements-train.lock
lock "$@" pyproject.toml --group torch-needs --constraint requirements-dev.lock --output-file requirements-torch.lock
# The frameworks pull in PyTorch with gigabytes of CUDA: left out, its own wheel is taken from where it lies (test.sh).
lock "$@" pyproject.toml --group frameworks --override <(printf 'torch ; python_version < "3"\n') \
  --constraint requirements-dev.lock --constraint requirements-train.lock --constraint requirements-torch.lock \
  --output-file requirements-frameworks.lock
