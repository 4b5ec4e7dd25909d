# shellcheck shell=bash
# Functions of the launchers; sourced, not run. `python` is that of .venv if it exists.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python}
if [ -z "${PYTHON:-}" ] && [ -x "$root/.venv/bin/python" ]; then
    python="$root/.venv/bin/python"
fi

# usage: the comment at the top of the script that was called, without '#', and exit.
usage() {
    sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

# require_count N: exits unless N is a positive number.
require_count() {
    if ! [[ $1 =~ ^[1-9][0-9]*$ ]]; then
        echo "'$1' is not a number of GPUs: run $0 without arguments for its usage" >&2
        exit 2
    fi
}

# Options that make a search use processes of this machine with any config; the caller adds the
# number of workers.
# shellcheck disable=SC2034 # for the scripts that source this
executor_of_one_machine=(search.executor.type=processes search.executor.address=None)

# free_port: prints a port of this machine that nobody listens on.
free_port() {
    "$python" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

# several_processes N ARGUMENTS...: sets `command` to that of `detnas ARGUMENTS...` in N processes of
# this machine, one per GPU. Several machines need the same NNODES, MASTER_ADDR and PORT, and each
# its own NODE_RANK. The rendezvous is static: torchrun's other one unpickles what its store holds,
# and the store admits anyone. On one machine gloo listens on the loopback interface alone.
several_processes() {
    local processes=$1 nodes=${NNODES:-1} host=${MASTER_ADDR:-127.0.0.1} port=${PORT:-} id
    local settings=("OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}")
    shift
    require_count "$processes"
    if [ "$nodes" -gt 1 ]; then
        port=${port:-29500}
        id=$host:$port
    else
        port=${port:-$(free_port)}
        id=$$-$RANDOM$RANDOM
        settings+=("GLOO_SOCKET_IFNAME=${GLOO_SOCKET_IFNAME:-lo}")
    fi
    # shellcheck disable=SC2034 # for the script that sources this
    command=(
        env "${settings[@]}" "$python" -m torch.distributed.run
        --rdzv-backend static --rdzv-id "$id" --nnodes "$nodes" --node-rank "${NODE_RANK:-0}"
        --master-addr "$host" --master-port "$port"
        --nproc-per-node "$processes" -m detnas.cli "$@" --launcher pytorch
    )
}

# slurm_tasks PARTITION JOB_NAME ARGUMENTS...: runs `detnas ARGUMENTS...` by srun, one task per GPU,
# as GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS and PORT specify.
slurm_tasks() {
    local partition=$1 job_name=$2
    shift 2
    local tasks=${GPUS:-8} per_node=${GPUS_PER_NODE:-8} on_node
    local resources=(--ntasks="$tasks" --cpus-per-task="${CPUS_PER_TASK:-5}")
    local command=("$python" -u -m detnas.cli "$@" --launcher slurm) more
    if ((per_node > 0)); then
        on_node=$((tasks < per_node ? tasks : per_node))
        resources+=(--ntasks-per-node="$on_node" --gres="gpu:$on_node")
    else # hide devices not requested; set in the task, as srun drops it
        command=(env CUDA_VISIBLE_DEVICES= "${command[@]}")
    fi
    read -r -a more <<<"${SRUN_ARGS:-}"
    if [ -n "${PORT:-}" ]; then
        export MASTER_PORT=$PORT
    fi
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # as torchrun does
    srun --partition="$partition" --job-name="$job_name" "${resources[@]}" --kill-on-bad-exit=1 \
        ${more[@]+"${more[@]}"} "${command[@]}"
}

# interruptible COMMAND...: runs it, and ends it when this script is interrupted or terminated.
interruptible() {
    "$@" </dev/null &
    local child=$! status=0
    # shellcheck disable=SC2064 # expand $child now
    trap "kill -TERM $child 2>/dev/null || true" INT TERM
    wait "$child" || status=$?
    while kill -0 "$child" 2>/dev/null; do
        wait "$child" || status=$?
    done
    trap - INT TERM
    return "$status"
}
