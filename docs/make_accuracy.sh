#!/bin/sh
# Renews the tables of docs/accuracy.md from measured data: each part between "<!-- oracles: NAME -->" and "<!-- end -->" becomes
# what the test oracles/NAME prints.
#
#   docs/make_accuracy.sh BUILD      BUILD: a folder built with tests (cmake -S . -B BUILD && cmake --build BUILD)
#
# The data lies in $KVCAST_DATA; without it nothing is changed.
set -eu

build=${1:?usage: docs/make_accuracy.sh BUILD}
page=$(dirname "$0")/accuracy.md
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The messages of one test, without Boost's colours, frame and blank lines at either end.
messages() {
  "$build/oracles" --run_test="$1" --log_level=message --color_output=no 2>&1 |
    sed -e '/^Running [0-9]* test case/d' -e '/^\*\*\* No errors/d' | cat -s
}

sed -n 's/^<!-- oracles: \([a-z0-9_]*\) -->$/\1/p' "$page" > "$folder/names"
while read -r name; do
  echo "oracles/$name" >&2
  messages "$name" > "$folder/$name"
  if ! grep -q '^|' "$folder/$name"; then
    echo "oracles/$name printed no table (is \$KVCAST_DATA set?); the page is unchanged" >&2
    exit 1
  fi
done < "$folder/names"

awk -v folder="$folder" '
  /^<!-- oracles: / { print; name = $3; while ((getline line < (folder "/" name)) > 0) print line; skip = 1; next }
  /^<!-- end -->$/ { skip = 0 }
  !skip { print }
' "$page" > "$folder/page"
cp "$folder/page" "$page"
