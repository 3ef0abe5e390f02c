#!/bin/sh
# Build the programs that the benchmarks run; they are committed. Wants ziglang and binutils.
set -eu
cd "$(dirname "$0")"
for program in called work; do
    for target in powerpc64le x86_64; do
        mkdir -p "$target"
        python -m ziglang cc -target "$target-linux-musl" -static -O2 -g -fno-sanitize=all \
            -o "$target/$program" "$program.c"
        "$target-linux-gnu-strip" --strip-debug "$target/$program"
    done
done
