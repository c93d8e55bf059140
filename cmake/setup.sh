# shellcheck shell=bash
# Sourced by run.sh and test.sh: what kvcast needs from the system and how to get it. Debian 12 and Ubuntu 24.04 use the same names.
# The sourcing script sets kvcast_root. KVCAST_NO_INSTALL=1 leaves the system alone (libraries from elsewhere; CMake then says what it misses).

# shellcheck disable=SC2034  # run.sh and test.sh use it
kvcast_build_packages=(
  g++ cmake ninja-build
  libfmt-dev libyaml-cpp-dev libcli11-dev libeigen3-dev nlohmann-json3-dev libsimdjson-dev
  libzstd-dev zlib1g-dev libsqlite3-dev libxxhash-dev librandom123-dev
)
# shellcheck disable=SC2034  # test.sh uses it
kvcast_test_packages=(libboost-test-dev)
# Readers of others, for what kvcast writes; without them those tests are skipped.
# shellcheck disable=SC2034  # test.sh uses it
kvcast_checker_packages=(python3-jsonschema python3-yaml python3-prometheus-client)

kvcast_say() { printf '%s\n' "$*" >&2; }

# Is the package, or for the tools a program of that name from anywhere, there?
kvcast_has_package() {
  case $1 in
    g++ | cmake) command -v "$1" >/dev/null && return 0 ;;
    ninja-build) command -v ninja >/dev/null && return 0 ;;
  esac
  [[ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" == "install ok installed" ]]
}

# kvcast_install PACKAGE...: installs those that are missing, after saying which; changes nothing that is there.
kvcast_install() {
  local package missing=() as_root=()
  [[ -z "${KVCAST_NO_INSTALL:-}" ]] || return 0
  for package in "$@"; do
    kvcast_has_package "$package" || missing+=("$package")
  done
  ((${#missing[@]} > 0)) || return 0

  if ! command -v apt-get >/dev/null; then
    kvcast_say "kvcast needs these packages (Debian's names): ${missing[*]}"
    kvcast_say "There is no apt-get here: install them in your system's way, then run again with KVCAST_NO_INSTALL=1."
    return 1
  fi
  if [[ "$(id -u)" != 0 ]]; then
    if ! command -v sudo >/dev/null; then
      kvcast_say "Missing packages: ${missing[*]}. Install them as root: apt-get install ${missing[*]}"
      return 1
    fi
    as_root=(sudo)
  fi

  kvcast_say "Missing, to be installed with apt-get: ${missing[*]}"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get)
  local options=(--yes --no-install-recommends --no-upgrade)
  "${apt[@]}" update -qq </dev/null >&2 || kvcast_say "apt-get update failed; going on with the package lists that are there."
  local all
  all=$(apt-get install --simulate "${options[@]}" "${missing[@]}" 2>/dev/null | awk '/^Inst /{printf " %s", $2}')
  kvcast_say "With what they depend on:${all:- (unknown)}"
  "${apt[@]}" install -qq "${options[@]}" "${missing[@]}" </dev/null >&2
}

# kvcast_configure BUILD_DIR CMAKE_OPTION...: configures unless that was done; the log is shown only if it fails.
kvcast_configure() {
  local build=$1 log
  shift
  [[ ! -f "$build/CMakeCache.txt" ]] || return 0
  mkdir -p "$build"
  log="$build/configure.log"
  local generator=()
  : "${kvcast_root:?is set by the script that sources this file}"
  ! command -v ninja >/dev/null || generator=(-G Ninja)
  if ! cmake -S "$kvcast_root" -B "$build" "${generator[@]}" "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    rm -f "$build/CMakeCache.txt"  # so that the next try starts afresh
    return 1
  fi
}

# kvcast_build BUILD_DIR [TARGET...]: progress on stderr, so that the program's results have stdout to themselves.
kvcast_build() {
  local build=$1
  shift
  cmake --build "$build" --parallel "$(nproc)" ${1:+--target "$@"} </dev/null >&2
}
