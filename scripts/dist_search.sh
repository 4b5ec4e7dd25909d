#!/usr/bin/env bash
# Searches in several worker processes, one per GPU (or on CPUs without GPUs).
#
#   scripts/dist_search.sh CONFIG GPUS [options of 'detnas search': --work-dir, --resume, ...]
#
# On several machines, run it on each with its own NODE_RANK from 0:
#
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 PORT=29500 scripts/dist_search.sh CONFIG 8 ...
#
# This starts a Ray cluster (pip install 'detnas[ray]') that ends with the search. Machine 0 searches,
# all machines evaluate. GPUS is the number per machine. CONFIG, data and weights need the same
# paths on all machines, and all the same ~/.ray/auth_token (in a shared home) or RAY_AUTH_TOKEN.
# A machine may join late; if one is lost, its candidates are evaluated again. After a kill, the
# same command with --resume resumes the search; the numbers of machines and GPUs may change.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -ge 2 ] || usage
config=$1 gpus=$2
shift 2
require_count "$gpus"
search=("$python" -m detnas.cli search "$config" "$@" --cfg-options)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
if [ "${NNODES:-1}" -eq 1 ]; then
    exec "${search[@]}" "${executor_of_one_machine[@]}" "search.executor.workers=$gpus"
fi

host=${MASTER_ADDR:-127.0.0.1} port=${PORT:-29500}
ray=0 # the process of this machine's part of the cluster
trap 'stop_ray' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# start_ray OPTIONS...: this machine's part of the cluster, in the background. Each worker takes one
# of GPUS slots, which Ray calls GPUs, even on a machine without any.
start_ray() {
    "$python" -m ray.scripts.scripts start --block --disable-usage-stats \
        --num-gpus "$gpus" --num-cpus "$gpus" --object-store-memory 100000000 \
        --min-worker-port 0 --max-worker-port 0 "$@" >/dev/null </dev/null &
    ray=$!
}

stop_ray() {
    if ((ray > 0)); then
        kill -TERM "$ray" 2>/dev/null || true
        wait "$ray" 2>/dev/null || true
    fi
    ray=0
}

ray_runs() {
    ((ray > 0)) && kill -0 "$ray" 2>/dev/null
}

head_answers() {
    timeout 5 bash -c ": </dev/tcp/$host/$port" 2>/dev/null
}

# wait_for_head SECONDS: fails where machine 0 does not answer within that time.
wait_for_head() {
    local until=$((SECONDS + $1))
    while ! head_answers; do
        if ((SECONDS >= until)) || { ((ray > 0)) && ! ray_runs; }; then
            return 1
        fi
        sleep 1
    done
}

export RAY_AUTH_MODE=token
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 # workers need no time to finish
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} # for the workers that Ray starts
if [ -z "${CUDA_VISIBLE_DEVICES-all}" ]; then      # Ray counts names of devices; -1 is no device
    CUDA_VISIBLE_DEVICES=$(seq -s, "$gpus" | sed 's/[0-9]\+/-1/g')
fi

if [ "${NODE_RANK:-0}" -eq 0 ]; then
    "$python" -m ray.scripts.scripts get-auth-token --generate >/dev/null # if there is none yet
    options=(--head --port "$port" --include-dashboard false)
    own=$("$python" -c 'import socket, sys; print(socket.gethostbyname(sys.argv[1]))' "$host")
    if [[ $own != 127.* || $host == 127.* ]]; then # else other machines cannot resolve the name
        options+=(--node-ip-address "$own")
    fi
    start_ray "${options[@]}"
    if ! wait_for_head 120; then
        echo "$0: Ray does not start at $host:$port; if the port is in use, set another PORT" >&2
        exit 1
    fi
    export DETNAS_LAUNCHER=${DETNAS_LAUNCHER:-$0}
    interruptible "${search[@]}" search.executor.type=ray search.executor.workers=None \
        "search.executor.address=$host:$port"
    exit
fi

if ! wait_for_head 600; then
    echo "$0: machine 0 ($host:$port) does not answer: start it with the same PORT" >&2
    exit 1
fi
while wait_for_head 5; do
    if ! ray_runs; then
        start_ray --address "$host:$port"
    fi
    sleep 2
done
