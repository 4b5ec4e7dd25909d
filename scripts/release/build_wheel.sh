#!/usr/bin/env bash
# Build a wheel in dist/, and show that it installs into an empty environment and runs there.
#
#     scripts/release/build_wheel.sh [EXTRAS]
#
# EXTRAS (default: onedl,fast,report,demo) are those installed with it. Needs uv, as `make wheel` has.
set -euo pipefail
cd "$(dirname "$0")/../.."
root="$PWD"
extras="${1:-onedl,fast,report,demo}"
python="${PYTHON:-python3}"
command -v uv >/dev/null || { echo "uv is missing: pip install uv" >&2; exit 2; }

empty="$(mktemp -d)"
trap 'rm -rf "$empty" "$root/build"' EXIT

rm -rf build  # setuptools would pack what an earlier build left there
version="$("$python" -c 'exec(open("detnas/version.py").read()); print(__version__)')"
wheel="dist/detnas-$version-py3-none-any.whl"
uv build --quiet --wheel --python "$python" --out-dir dist
[ -f "$wheel" ] || { echo "$wheel was not built" >&2; exit 1; }

# The checkout must not be importable: the commands run in an empty folder.
uv venv --quiet --python "$python" "$empty/venv"
uv pip install --quiet --python "$empty/venv/bin/python" \
  --constraint constraints.txt --override overrides.txt "${wheel}[$extras]"
mkdir "$empty/folder"
cd "$empty/folder"
unset PYTHONPATH
"$empty/venv/bin/detnas" --version
"$empty/venv/bin/detnas" init --help >/dev/null && echo "detnas init --help: works"
"$empty/venv/bin/detnas" space small --budget macs=..260e6
"$empty/venv/bin/python" - <<'CHECK'
from pathlib import Path

import detnas
from detnas.commands import demo
from detnas.config_keys import own_config

assert "site-packages" in detnas.__file__, detnas.__file__
assert own_config("detnas::_base_/runtime.py").is_file(), "the base configs are not in the wheel"
assert list(Path(detnas.__file__).parent.glob("report/templates/*")), "templates are missing"
print("base configs and templates: in the wheel; the demo:", demo.__doc__.splitlines()[0])
CHECK
echo "built and tried: $wheel"
