#!/usr/bin/env bash
# Runs the stages of an experiment's folder in order (pretrain, finetune, search, retrain, test),
# skipping what is finished and going on with what was interrupted.
#
#   scripts/run_experiment.sh configs/bccd_retinanet [--work-dir DIR] [--cfg-options KEY=VALUE ...]
set -euo pipefail
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    echo "usage: $0 FOLDER [options of 'detnas run']" >&2
    exit 2
fi
detnas=detnas
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -x "$here/.venv/bin/detnas" ]; then
    detnas="$here/.venv/bin/detnas"
fi
exec "$detnas" run "$@"
