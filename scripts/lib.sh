# shellcheck shell=bash
# What the launchers share; sourced, not run. `python` is that of .venv where it has been set up.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python}
if [ -z "${PYTHON:-}" ] && [ -x "$root/.venv/bin/python" ]; then
    python="$root/.venv/bin/python"
fi

# usage: the comment at the top of the script that was called, without its marks, and exit.
usage() {
    sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

# several_processes N ARGUMENTS...: sets `command` to that of `detnas ARGUMENTS...` in N processes of
# this machine, one a GPU. Of several machines, each calls it with the same NNODES, MASTER_ADDR and
# PORT, and its own NODE_RANK; on one machine a free port is found unless PORT names one.
several_processes() {
    local processes=$1
    shift
    if ! [[ $processes =~ ^[1-9][0-9]*$ ]]; then
        echo "'$processes' is no number of GPUs: $0 without arguments says what it takes" >&2
        exit 2
    fi
    local where=(--standalone)
    if [ "${NNODES:-1}" -gt 1 ] || [ -n "${PORT:-}" ]; then
        where=(
            --nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
            --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}"
        )
    fi
    # shellcheck disable=SC2034 # for the script that sources this
    command=(
        env "OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}" "$python" -m torch.distributed.run "${where[@]}" --nproc-per-node "$processes"
        -m detnas.cli "$@" --launcher pytorch
    )
}

# interruptible COMMAND...: runs it, and ends it when this script is interrupted or terminated.
interruptible() {
    "$@" </dev/null &
    local child=$! status=0
    # shellcheck disable=SC2064 # the child of now
    trap "kill -TERM $child 2>/dev/null || true" INT TERM
    wait "$child" || status=$?
    while kill -0 "$child" 2>/dev/null; do
        wait "$child" || status=$?
    done
    trap - INT TERM
    return "$status"
}
