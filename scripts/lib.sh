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

# require_count N: exits unless it is a number of GPUs.
require_count() {
    if ! [[ $1 =~ ^[1-9][0-9]*$ ]]; then
        echo "'$1' is no number of GPUs: $0 without arguments says what it takes" >&2
        exit 2
    fi
}

# Options of a search in processes of this machine, whatever the config's executor is; the number of
# workers is to be added.
# shellcheck disable=SC2034 # for the scripts that source this
executor_of_one_machine=(search.executor.type=processes search.executor.address=None)

# several_processes N ARGUMENTS...: sets `command` to that of `detnas ARGUMENTS...` in N processes of
# this machine, one a GPU. Of several machines, each calls it with the same NNODES, MASTER_ADDR and
# PORT, and its own NODE_RANK; on one machine a free port is found unless PORT names one.
several_processes() {
    local processes=$1
    shift
    require_count "$processes"
    local where=(--standalone)
    if [ "${NNODES:-1}" -gt 1 ] || [ -n "${PORT:-}" ]; then
        where=(
            --nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
            --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}"
        )
    fi
    # shellcheck disable=SC2034 # for the script that sources this
    command=(
        env "OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}"
        "$python" -m torch.distributed.run "${where[@]}"
        --nproc-per-node "$processes" -m detnas.cli "$@" --launcher pytorch
    )
}

# slurm_tasks PARTITION JOB_NAME ARGUMENTS...: runs `detnas ARGUMENTS...` by srun, one task a GPU, as
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS and PORT say.
slurm_tasks() {
    local partition=$1 job_name=$2
    shift 2
    local tasks=${GPUS:-8} per_node=${GPUS_PER_NODE:-8} on_node
    local resources=(--ntasks="$tasks" --cpus-per-task="${CPUS_PER_TASK:-5}")
    local command=("$python" -u -m detnas.cli "$@" --launcher slurm) more
    if ((per_node > 0)); then
        on_node=$((tasks < per_node ? tasks : per_node))
        resources+=(--ntasks-per-node="$on_node" --gres="gpu:$on_node")
    else # a node may show devices that were not asked for; srun drops the variable, the task sets it
        command=(env CUDA_VISIBLE_DEVICES= "${command[@]}")
    fi
    read -r -a more <<<"${SRUN_ARGS:-}"
    if [ -n "${PORT:-}" ]; then
        export MASTER_PORT=$PORT
    fi
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # as torchrun's processes
    srun --partition="$partition" --job-name="$job_name" "${resources[@]}" --kill-on-bad-exit=1 \
        ${more[@]+"${more[@]}"} "${command[@]}"
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
