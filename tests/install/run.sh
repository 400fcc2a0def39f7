#!/usr/bin/env bash
# Installs the built library into a temporary folder and builds a tiny outside project against it,
# once by find_package(asyncio) and once by pkg-config, and runs both.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${ASYNCIO_BUILD_DIR:?the folder of a finished build}
CXX=${CXX:-c++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A sanitized library asks for the same flags in the program: CTest hands them over.
read -r -a flags <<<"${ASYNCIO_CXX_FLAGS:-}"

cmake --install "$build" --prefix "$work/prefix" >/dev/null
for file in include/asyncio/asyncio.hpp bin/asyncio-lint; do
    [ -f "$work/prefix/$file" ] || { echo "not installed: $file"; exit 1; }
done
# Whoever installs from a fresh clone builds the target asyncio_libraries, and nothing more.
built=$(ninja -C "$build" -t query asyncio_libraries)
for library in "$work/prefix"/lib*/libasyncio*.a "$work/prefix"/lib*/*/libasyncio*.a; do
    [ ! -f "$library" ] || grep -q "$(basename "$library")" <<<"$built" ||
        { echo "asyncio_libraries does not build $(basename "$library")"; exit 1; }
done
if find "$work/prefix/include" -name '*_test*' | grep .; then
    echo "test files were installed"
    exit 1
fi

with_tls=OFF
[ -z "$(find "$work/prefix" -name asyncio-tls.pc)" ] || with_tls=ON
echo "== find_package(asyncio), tls: $with_tls"
cmake -S "$here" -B "$work/cmake" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_FLAGS="${flags[*]}" -DWITH_TLS="$with_tls" >/dev/null
cmake --build "$work/cmake" >/dev/null
"$work/cmake/outside"
[ "$with_tls" = OFF ] || "$work/cmake/outside_tls"

"$work/cmake/outside_testing" --gtest_brief=1

echo "== pkg-config asyncio"
pc=$(dirname "$(find "$work/prefix" -name asyncio.pc)")
read -r -a pc_flags <<<"$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs asyncio)"
"$CXX" -std=c++20 "${flags[@]}" "$here/outside.cpp" "${pc_flags[@]}" -o "$work/outside"
LD_LIBRARY_PATH=$(dirname "$pc") "$work/outside"
"$CXX" -std=c++20 "${flags[@]}" -fno-rtti "$here/outside.cpp" "${pc_flags[@]}" -o "$work/outside"
LD_LIBRARY_PATH=$(dirname "$pc") "$work/outside"

if [ "$with_tls" = ON ]; then
    read -r -a pc_flags <<<"$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs asyncio-tls asyncio)"
    "$CXX" -std=c++20 "${flags[@]}" "$here/outside_tls.cpp" "${pc_flags[@]}" -o "$work/outside_tls"
    LD_LIBRARY_PATH=$(dirname "$pc") "$work/outside_tls"
fi

echo "== asyncio-lint"
"$work/prefix/bin/asyncio-lint" "$here/outside.cpp" "$here/outside_testing.cpp"

# The template of the guide, as docs/start.md has it built; with the other compiler, too, where there is one
# (not where a sanitizer's library of this compiler would be needed).
compilers=("$CXX")
case $CXX in *clang*) other=g++ ;; *) other=clang++-19 ;; esac
if [ "${flags[*]}" = "${flags[*]/-fsanitize/}" ] && command -v "$other" >/dev/null; then compilers+=("$other"); fi
for compiler in "${compilers[@]}"; do
    echo "== examples/starter with $compiler"
    tree=$work/starter-$(basename "$compiler")
    cmake -S "$here/../../examples/starter" -B "$tree" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" \
        -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_FLAGS="${flags[*]}" >/dev/null
    cmake --build "$tree" >"$work/starter.log" || { cat "$work/starter.log"; exit 1; }
    ctest --test-dir "$tree" --output-on-failure >"$work/starter.log" || { cat "$work/starter.log"; exit 1; }
done
