#!/usr/bin/env bash
# Builds kvcast (installing what is missing on Debian and Ubuntu, see cmake/setup.sh) and runs it.
#
#   ./run.sh                 forecast the built-in scenario; table here, report in kvcast-report.html
#   ./run.sh ARGUMENTS...    kvcast ARGUMENTS..., as in ./run.sh memory --model config.json --gpu h100-sxm
#   ./run.sh --setup         only install what is missing
set -euo pipefail

kvcast_root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=cmake/setup.sh
source "$kvcast_root/cmake/setup.sh"

kvcast_install "${kvcast_build_packages[@]}"
if [[ "${1:-}" == --setup ]]; then
  kvcast_say "Everything that kvcast needs is installed."
  exit 0
fi

kvcast_configure "$kvcast_root/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF
if [[ ! -x "$kvcast_root/build/kvcast" ]]; then
  kvcast_say "Building kvcast in $kvcast_root/build; that takes some minutes the first time."
fi
kvcast_build "$kvcast_root/build" kvcast

if (($# > 0)); then
  exec "$kvcast_root/build/kvcast" "$@"
fi

report="$PWD/kvcast-report.html"
"$kvcast_root/build/kvcast" simulate --report "$report"
kvcast_say "The report: $report"
if [[ -t 2 && -z "${CI:-}" && -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]] && command -v xdg-open >/dev/null; then
  xdg-open "$report" >/dev/null 2>&1 || kvcast_say "No browser could be opened; open the file yourself."
fi
