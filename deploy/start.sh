#!/bin/bash
# Starts a server of every sprint below the folder in which it runs, and makes what is not made yet beside it.
# `start healthy` says whether it can write.
set -euo pipefail
shopt -s nullglob

if [ "${1:-}" = healthy ]; then
    exec 3<> /dev/tcp/127.0.0.1/7860
    printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
    grep -q '^ready' <&3
    exit
fi
if [ ! -e diptych.toml ] && [ ! -e sprint.toml ]; then
    printf '# A server of every sprint below this folder: see docs/running.md.\n' > diptych.toml
fi
sprints=(sprint.toml */sprint.toml)
if [ ! -e sprint.toml ]; then
    sprints=(*/sprint.toml)
fi
if [ ${#sprints[@]} -eq 0 ]; then
    mkdir -p first
    printf '%s\n' 'a heron by a lake' 'a lighthouse in a storm' 'a red bicycle' > first/prompts.txt
    diptych new first --prompts first/prompts.txt
    sprints=(first/sprint.toml)
fi
for sprint in "${sprints[@]}"; do
    diptych -C "$(dirname "$sprint")" run --quiet &
done
exec diptych serve --addr "${DIPTYCH_ADDR:-0.0.0.0:7860}"
