#!/bin/bash
# Makes sure that what building needs is here: Rust, LLVM 22 with its static libraries, a C compiler.
# Quick when nothing is missing.
set -u
cd "$(dirname "$0")/.."

version=22
llvm_config() {
    for place in "${LLVM_SYS_221_PREFIX:-/usr/lib/llvm-$version}/bin/llvm-config" "llvm-config-$version"; do
        if command -v "$place" >/dev/null 2>&1; then
            echo "$place"
            return
        fi
    done
}

missing=()
config=$(llvm_config)
[ -n "$config" ] && [ -e "$("$config" --libdir)/libLLVMCore.a" ] || missing+=("llvm-$version-dev")
[ -n "$config" ] && [ -e "$("$config" --libdir)/libPolly.a" ] || missing+=("libpolly-$version-dev")
for pair in zlib.h:zlib1g-dev zstd.h:libzstd-dev libxml2/libxml/xmlversion.h:libxml2-dev; do
    [ -e "/usr/include/${pair%%:*}" ] || [ -e "/usr/local/include/${pair%%:*}" ] || missing+=("${pair##*:}")
done
command -v cc >/dev/null 2>&1 && command -v c++ >/dev/null 2>&1 || missing+=(gcc g++)

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust 1.95 or later from https://rustup.rs" >&2
    exit 1
fi
[ ${#missing[@]} -eq 0 ] && exit 0

command="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(uname -s)" != Linux ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: ${missing[*]} (names as in Debian); install LLVM $version and set LLVM_SYS_221_PREFIX" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "missing: ${missing[*]}; as root, run:" >&2
    echo "    apt-get update && $command" >&2
    echo "(a distribution without LLVM $version gets it from https://apt.llvm.org; this script adds that when run as root)" >&2
    exit 1
fi

# Distributions older than this LLVM get it from its own archive.
add_llvm_archive() {
    apt-cache show "llvm-$version-dev" >/dev/null 2>&1 && return
    . /etc/os-release
    local codename=${VERSION_CODENAME:-}
    [ -n "$codename" ] || return
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates curl gpg >/dev/null
    curl -fsSL https://apt.llvm.org/llvm-snapshot.gpg.key | gpg --dearmor > /usr/share/keyrings/llvm.gpg
    echo "deb [signed-by=/usr/share/keyrings/llvm.gpg] https://apt.llvm.org/$codename/ llvm-toolchain-$codename-$version main" \
        > /etc/apt/sources.list.d/llvm.list
    apt-get update -qq
}

for attempt in 1 2 3; do
    echo "installing ${missing[*]} (attempt $attempt)" >&2
    apt-get update -qq && add_llvm_archive
    if DEBIAN_FRONTEND=noninteractive $command >/dev/null; then
        exit 0
    fi
    sleep $((attempt * 5))
done
echo "could not install ${missing[*]}; by hand: apt-get update && $command" >&2
exit 1
