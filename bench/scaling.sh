#!/usr/bin/env bash
# PUTs and hits of 4 KiB by the number of workers, without a tier and with the file tier, on a machine with many cores.
# Needs wrk and curl. Usage: bench/scaling.sh SECONDS WORKERS...    e.g. bench/scaling.sh 5 2 4 8 12
# BUN, WRK and THREADS (of wrk) may be set. Beside each rate: processor time of the busiest threads, in ticks of 10 ms.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
seconds=$1
shift
bun=${BUN:-bun} wrk=${WRK:-wrk} threads=${THREADS:-4}
work=$(mktemp -d)
trap 'rm -rf "$work" /dev/shm/vitrine-scaling' EXIT
cat > "$work/put.lua" <<'LUA'
local body, n, id = string.rep("x", 4096), 0, 0
function setup(thread) thread:set("id", id); id = id + 1 end
function request()
  n = n + 1
  return wrk.format("PUT", "/v1/objects/" .. id .. "-" .. (n % 20000), nil, body)
end
LUA

load() { # what, path, arguments of wrk, --, flags of the server
  local what=$1 path=$2 port=$((20000 + RANDOM % 20000)) options=() report
  shift 2
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  "$bun" src/main.ts --port "$port" --admin-port 0 --l1-size 1GiB "$@" > "$work/log" 2>&1 &
  local server=$!
  until curl -sf -o "$work/out" -X PUT --data-binary "@$work/put.lua" "http://127.0.0.1:$port/v1/objects/hit"; do
    kill -0 "$server" || { cat "$work/log"; exit 1; }
  done
  report=$("$wrk" "-t$threads" -c64 "-d${seconds}s" --latency "${options[@]}" "http://127.0.0.1:$port$path")
  awk -v what="$what" '/Requests\/sec/ {rate=$2} $1=="50%" {p50=$2} $1=="99%" {p99=$2} /Non-2xx/ {bad=$NF}
    END {printf "%-24s %9d/s p50 %s p99 %s refused %d ", what, rate, p50, p99, bad}' <<< "$report"
  for task in /proc/$server/task/*; do awk '{print $14 + $15}' "$task/stat"; done | sort -rn | head -4 | tr '\n' ' '
  echo
  kill -TERM "$server"
  wait "$server"
  rm -rf "$work/tier" /dev/shm/vitrine-scaling
}

for workers in "$@"; do
  load "$workers put none" / -s "$work/put.lua" -- --workers "$workers" --l2 none
  load "$workers put back, memory" / -s "$work/put.lua" -- --workers "$workers" --l2 file:///dev/shm/vitrine-scaling
  load "$workers put back" / -s "$work/put.lua" -- --workers "$workers" --l2 "file://$work/tier"
  load "$workers put through" / -s "$work/put.lua" -- --workers "$workers" --l2 "file://$work/tier" --write through
  load "$workers hit" /v1/objects/hit -- --workers "$workers" --l2 none
done
