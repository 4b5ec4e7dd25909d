#!/usr/bin/env bash
# Runs the stages of an experiment's folder in order (pretrain, finetune, search, pretrain_subnet,
# retrain, test), skipping what is finished and going on with what was interrupted.
#
#   scripts/run_experiment.sh FOLDER [GPUS] [options of 'detnas run': --work-dir, --cfg-options, ...]
#
# Everything is checked before the first stage. With GPUS of 2 or more, training and testing run in so
# many processes; the search is one process. On several machines as dist_train.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    usage
fi
folder=$1
shift
gpus=1
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    gpus=$1
    shift
fi
if [ "$gpus" -le 1 ]; then
    exec "$python" -m detnas.cli run "$folder" "$@"
fi
states=$("$python" -m detnas.cli run "$folder" "$@" --check)
while read -r stage state; do
    if [ "$state" = finished ]; then
        echo "$stage: finished before" >&2
    elif [ "$stage" = search ]; then
        "$python" -m detnas.cli run "$folder" "$@" --stages search
    else
        several_processes "$gpus" run "$folder" "$@" --stages "$stage"
    fi
done <<<"$states"
