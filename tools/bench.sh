#!/usr/bin/env bash
# The benchmarks of bench/, and with the peers at hand their comparison. `./dev bench [NAME]` calls it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'TEXT'
usage: ./dev bench [NAME] [ARGUMENT...]

  micro          coroutines, tasks, timers, posts of other threads, beside their floor
  sync           locks and queues, beside their floor
  echo           throughput and server CPU, on io_uring and epoll
  idle           memory of an idle connection
  udp            UDP echo, beside raw epoll, libuv and Asio where they are installed
  tls            TLS echo, handshakes and idle memory, beside raw OpenSSL and Asio where they are installed
  cost           user instructions per message, on io_uring and epoll; with hardware counters and peers
                 system calls, too, else by single-stepping
  proc           starting programs, also from a parent with 4 GiB in use
  file           reading 10,000 files of 4 KiB, copying 1 GiB
  compile_time   what #include <asyncio/asyncio.hpp> costs, beside Boost.Asio
  all            these, one after the other (the default)

environment:
  ASYNCIO_PEERS      a folder with the peers' runners (run_micro.sh, run_echo.sh, run_cost.sh); without
                     it ours are measured alone
  ASYNCIO_PEERS_BIN  where the peers were built (default: $ASYNCIO_PEERS/build)
  BENCH_PEERS        which peers, separated by commas (default: those below)
  BENCH_ROUNDS       rounds (default 3)
More arguments go to the peers' runner: ./dev bench echo -c 64:64,1:65536
TEXT
}

BIN=${BENCH_BIN:-build/release}
ROUNDS=${BENCH_ROUNDS:-3}
MICRO_PEERS=${BENCH_PEERS:-raw-coro,asio,tokio,go}
ECHO_PEERS=${BENCH_PEERS:-raw-epoll,raw-uring-64k,libuv,asio-cb,asio-coro,asio-coro-uring,tokio,go}

[ -n "${BENCH_BIN:-}" ] || ./dev build release >/dev/null
BIN=$(cd "$BIN" && pwd)
if [ -n "${ASYNCIO_PEERS:-}" ]; then
    PEERS=$(cd "$ASYNCIO_PEERS" && pwd)
    export B=${ASYNCIO_PEERS_BIN:-$PEERS/build}
fi

# peers RUNNER ARGUMENT...: the tables only; the raw lines go where -o says.
peers() { "$PEERS/$1" "${@:2}" | grep -v '^{'; }

# beside_floor PROGRAM ARGUMENT...: with the peers, or with our floor alone.
beside_floor() {
    local program=$1
    shift
    if [ -n "${PEERS:-}" ]; then
        peers run_micro.sh --peers "$MICRO_PEERS" -r "$ROUNDS" "$@" \
            asyncio="$BIN/$program" raw-floor="$BIN/bench_floor"
    else
        python3 bench/compare.py --rounds "$ROUNDS" "$BIN/bench_floor" "$BIN/$program" -- "$@"
    fi
}
micro() { beside_floor bench_micro "$@"; }

# One --only at a time is what the peers' runner takes.
sync() {
    local kind
    for kind in mutex channel; do beside_floor bench_sync --only "$kind" "$@"; done
}

ours_echo=(asyncio-uring="ASYNCIO_BACKEND=io_uring $BIN/bench_echo_server"
    asyncio-epoll="ASYNCIO_BACKEND=epoll $BIN/bench_echo_server")

# with_servers COMMAND...: once on each backend, the port as its last argument.
with_servers() {
    local backend port=$((20000 + RANDOM % 10000)) server
    for backend in io_uring epoll; do
        port=$((port + 1))
        ASYNCIO_BACKEND=$backend "$BIN/bench_echo_server" "$port" &
        server=$!
        "$@" --impl "asyncio-$backend" --pid "$server" "$port" || true
        kill -TERM "$server"
        wait "$server" 2>/dev/null || true
    done
}

echo_() {
    if [ -n "${PEERS:-}" ]; then
        peers run_echo.sh --peers "$ECHO_PEERS" -r "$ROUNDS" "$@" "${ours_echo[@]}"
    else
        with_servers "$BIN/bench_echo_load" "$@"
    fi
}

idle() {
    if [ -n "${PEERS:-}" ]; then
        peers run_echo.sh --idle 10000 --peers "$ECHO_PEERS" -r 1 "$@" "${ours_echo[@]}"
    else
        with_servers "$BIN/bench_echo_load" --idle 10000 "$@"
    fi
}

cost() {
    if [ -n "${PEERS:-}" ] && perf stat -x, -e instructions:u true 2>&1 | grep -q '^[0-9]'; then
        peers run_cost.sh --peers "$ECHO_PEERS" -r "$ROUNDS" "$@" "${ours_echo[@]}"
    else
        stepped_cost "$@"
    fi
}

# Where there are no counters the servers are single-stepped; peers, where they are built.
stepped_cost() {
    local backend kind peer port=$((20000 + RANDOM % 10000))
    for backend in io_uring epoll; do
        for kind in "" --read --protocol; do
            port=$((port + 1))
            ASYNCIO_BACKEND=$backend "$BIN/bench_cost" --impl "asyncio-$backend $kind" "$@" \
                "$BIN/bench_echo_server" $kind "$port"
        done
    done
    for peer in uv_echo asio_coro_echo tokio_echo; do
        port=$((port + 1))
        [ ! -x "${B:-}/$peer" ] || "$BIN/bench_cost" --impl "$peer" "$@" "$B/$peer" "$port"
    done
}

ours_proc=(asyncio-uring="env ASYNCIO_BACKEND=io_uring $BIN/bench_spawn"
    asyncio-epoll="env ASYNCIO_BACKEND=epoll $BIN/bench_spawn"
    asyncio-uring-4GiB="env ASYNCIO_BACKEND=io_uring $BIN/bench_spawn --resident 4")

proc() {
    if [ -n "${PEERS:-}" ]; then
        peers run_proc.sh --peers "${BENCH_PEERS:-raw-posix_spawn,libuv,tokio,go}" -r "$ROUNDS" "$@" "${ours_proc[@]}"
    else
        for backend in io_uring epoll; do ASYNCIO_BACKEND=$backend "$BIN/bench_spawn" "$@"; done
    fi
}

# files_in FOLDER: what bench_files reads.
files_in() {
    head -c 40960000 /dev/urandom | split -b 4096 -a 4 --numeric-suffixes - "$1/f"
    for name in "$1"/f*; do
        number=${name##*/f}
        plain="$1/f$((10#$number))"
        [ "$name" = "$plain" ] || mv "$name" "$plain"
    done
    head -c 1073741824 /dev/urandom >"$1/big"
    sync
}

file() {
    if [ -n "${PEERS:-}" ]; then
        peers run_file.sh --peers "${BENCH_PEERS:-raw-syscalls,raw-io_uring,libuv,go}" -r "$ROUNDS" "$@" \
            asyncio-uring="env ASYNCIO_BACKEND=io_uring $BIN/bench_files {dir}" \
            asyncio-epoll="env ASYNCIO_BACKEND=epoll $BIN/bench_files {dir}"
    else
        local folder backend
        folder=$(mktemp -d)
        files_in "$folder"
        for backend in io_uring epoll; do ASYNCIO_BACKEND=$backend "$BIN/bench_files" "$folder"; done
        rm -rf "$folder"
    fi
}

# build_peer NAME FLAG...: bench/peers/NAME.cpp, if what it needs is installed.
build_peer() {
    mkdir -p "$BIN/peers"
    "${CXX:-c++}" -O2 -std=c++20 -DNDEBUG "bench/peers/$1.cpp" -o "$BIN/peers/$1" "${@:2}" 2>/dev/null ||
        echo "$1: not built, its library is missing" >&2
}

udp() {
    local peer servers=(asyncio-uring="ASYNCIO_BACKEND=io_uring $BIN/bench_udp_echo"
        asyncio-epoll="ASYNCIO_BACKEND=epoll $BIN/bench_udp_echo"
        asyncio-endpoint="ASYNCIO_BACKEND=epoll $BIN/bench_udp_echo --endpoint")
    build_peer udp_epoll
    build_peer udp_uv -luv
    build_peer udp_asio -pthread
    for peer in udp_epoll udp_uv udp_asio; do
        [ ! -x "$BIN/peers/$peer" ] || servers+=("$peer=$BIN/peers/$peer")
    done
    python3 bench/servers.py --rounds "$ROUNDS" "$BIN/bench_udp_load" "${1:-1:64,64:64,64:1400}" "${servers[@]}"
}

# Rows of 0 bytes are handshakes.
tls() {
    local folder name server port servers=()
    folder=$(mktemp -d)
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
        -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>/dev/null
    build_peer tls_epoll -lssl -lcrypto
    build_peer tls_asio -pthread -lssl -lcrypto
    for name in io_uring epoll; do
        servers+=("asyncio-$name=ASYNCIO_BACKEND=$name $BIN/bench_tls_echo $folder/cert.pem $folder/key.pem")
    done
    for name in tls_epoll tls_asio; do
        [ ! -x "$BIN/peers/$name" ] || servers+=("$name=$BIN/peers/$name $folder/cert.pem $folder/key.pem")
    done
    python3 bench/servers.py --rounds "$ROUNDS" "$BIN/bench_tls_load" "${1:-1:64,64:64,64:16384,64:0}" "${servers[@]}"
    for server in "${servers[@]}"; do
        port=$((20000 + RANDOM % 10000))
        # shellcheck disable=SC2086
        env ${server#*=} "$port" &
        "$BIN/bench_tls_load" --idle 1000 --impl "${server%%=*}" --pid $! "$port"
        kill -TERM $!
        wait $! 2>/dev/null || true
    done
    rm -rf "$folder"
}

compile_time() { python3 bench/compile_time.py "$@"; }

name=${1:-all}
[ $# -eq 0 ] || shift
case $name in
    micro | sync | idle | cost | udp | tls | proc | file | compile_time) "$name" "$@" ;;
    echo) echo_ "$@" ;;
    all) for name in micro sync echo_ idle cost udp tls proc file compile_time; do
        printf '\n== %s\n' "${name%_}"
        "$name"
    done ;;
    -h | --help | help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
