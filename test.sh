#!/usr/bin/env bash
# Builds kvcast with warnings as errors in build-test/ and runs every test (installing what is missing, see cmake/setup.sh).
#
#   ./test.sh                 everything: a short run of each fuzzer where clang is installed, then all tests
#   ./test.sh -R config       arguments go to ctest; no fuzzers
#   KVCAST_FUZZ_SECONDS=60    longer runs of each fuzzer (default 5; 0: none)
#   KVCAST_WERROR=OFF         a compiler newer than ours may warn where ours do not
#   KVCAST_CUDA_ARCHITECTURES="80;89;90a"  where nvcc is installed: what to compile the GPU kernels for (default 90a)
set -euo pipefail

kvcast_root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=cmake/setup.sh
source "$kvcast_root/cmake/setup.sh"

# A short run of every fuzzer, from the kept corpus; a finding fails the script.
fuzz_smoke() {
  local seconds=${KVCAST_FUZZ_SECONDS:-5} build="$kvcast_root/build-fuzz" clang="" name options
  if [[ "$seconds" == 0 ]]; then
    kvcast_say "Fuzzers are skipped (KVCAST_FUZZ_SECONDS=0)."
    return 0
  fi
  for name in clang++-14 clang++; do
    if command -v "$name" >/dev/null && fuzzer_links "$name"; then
      clang=$name
      break
    fi
  done
  if [[ -z "$clang" ]]; then
    kvcast_say "Fuzzers are skipped: there is no clang with libFuzzer (packages clang-14 and libclang-rt-14-dev)."
    return 0
  fi
  kvcast_configure "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER="$clang" -DKVCAST_FUZZERS=ON "${launcher[@]}" \
    "-DCMAKE_CXX_FLAGS=-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
  kvcast_build "$build" fuzzers
  for name in "$kvcast_root"/tests/fuzz/*.cpp; do
    name=$(basename "$name" .cpp)
    mkdir -p "$build/corpus-$name"
    kvcast_say "Fuzzing $name for $seconds s"
    options=(-seed=1 -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$build/finding-$name-")
    [[ ! -f "$kvcast_root/tests/fuzz/$name.dict" ]] || options+=(-dict="$kvcast_root/tests/fuzz/$name.dict")
    if ! "$build/fuzz_$name" "${options[@]}" "$build/corpus-$name" "$kvcast_root/tests/fuzz/corpus/$name" \
      >"$build/fuzz-$name.log" 2>&1 </dev/null; then
      tail -n 60 "$build/fuzz-$name.log" >&2
      kvcast_say "The fuzzer of $name found something; the input is $build/finding-$name-*"
      return 1
    fi
  done
}

# Does this compiler have libFuzzer's runtime?
fuzzer_links() {
  local folder result=0
  folder=$(mktemp -d)
  echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' >"$folder/probe.cpp"
  "$1" -fsanitize=fuzzer,address "$folder/probe.cpp" -o "$folder/probe" >/dev/null 2>&1 || result=1
  rm -rf "$folder"
  return "$result"
}

kvcast_install "${kvcast_build_packages[@]}" "${kvcast_test_packages[@]}"
kvcast_install "${kvcast_checker_packages[@]}" || kvcast_say "Going on without: the tests that need them are skipped."
launcher=()
! command -v ccache >/dev/null || launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
# With nvcc the GPU kernels are compiled too, for one architecture.
cuda=()
if [[ -n "${CUDACXX:-}" ]] || command -v nvcc >/dev/null; then
  cuda=(-DKVCAST_CUDA=ON "-DCMAKE_CUDA_ARCHITECTURES=${KVCAST_CUDA_ARCHITECTURES:-90a}")
else
  kvcast_say "The GPU kernels are not compiled: there is no nvcc (in PATH or CUDACXX)."
fi
kvcast_configure "$kvcast_root/build-test" -DCMAKE_BUILD_TYPE=Release -DKVCAST_WERROR="${KVCAST_WERROR:-ON}" "${launcher[@]}" "${cuda[@]}"
kvcast_build "$kvcast_root/build-test"
(($# > 0)) || fuzz_smoke
exec ctest --test-dir "$kvcast_root/build-test" --output-on-failure --no-tests=error --parallel "$(nproc)" "$@" </dev/null
