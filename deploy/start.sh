#!/bin/bash
# Starts a server of every sprint below the folder in which it runs. In a folder without one it begins a small one.
# DIPTYCH_RUN names sprints' folders whose stages are run beside it, as in "first birds": no sprint that somebody has
# proposed spends anything by itself. `start healthy` says whether the server can write.
set -euo pipefail
shopt -s nullglob

address=${DIPTYCH_ADDR:-0.0.0.0:7860}
if [ "${1:-}" = healthy ]; then
    exec 3<> "/dev/tcp/127.0.0.1/${address##*:}"
    # Over HTTPS of its own this shell cannot ask: that somebody is there has to do.
    if [ -n "${DIPTYCH_SERVE__TLS_CERTIFICATE:-}" ] || grep -qs '^ *tls_certificate' diptych.toml sprint.toml; then exit; fi
    printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
    grep -q '^ready' <&3
    exit
fi
if [ ! -e diptych.toml ] && [ ! -e sprint.toml ]; then
    printf '# A server of every sprint below this folder: see docs/running.md.\n' > diptych.toml
fi
sprints=(*/sprint.toml)
if [ ! -e sprint.toml ] && [ ${#sprints[@]} -eq 0 ]; then
    mkdir -p first
    printf '%s\n' 'a heron by a lake' 'a lighthouse in a storm' 'a red bicycle' > first/prompts.txt
    diptych new first --prompts first/prompts.txt
    DIPTYCH_RUN="${DIPTYCH_RUN:-} first"
fi
for sprint in ${DIPTYCH_RUN:-}; do
    diptych -C "$sprint" run --quiet &
done
exec diptych serve --addr "$address"
