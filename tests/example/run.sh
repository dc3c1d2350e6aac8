#!/bin/sh
# usage: run.sh CMAKE SOURCE BUILD COMPILER BUILD_TYPE CXX_FLAGS LAUNCHER
# Exit code 77: everything is built, but there is no data to run the example on.
set -eu
cmake=$1 source=$2 build=$3 compiler=$4 build_type=$5 flags=$6 launcher=$7
prefix=$build/example-prefix
data=/usr/share/datasets/fashion-mnist

rm -rf "$prefix" "$build/example-build"
"$cmake" --install "$build" --prefix "$prefix" >/dev/null

for file in bin/octet include/octet/graph.h share/octet/targets/octet.yaml share/octet/recipes/default.yaml; do
  [ -f "$prefix/$file" ] || { echo "the installation lacks $file"; exit 1; }
done
for header in "$prefix"/include/octet/*.h; do
  "$compiler" -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I "$prefix/include" -include "$header" -x c++ /dev/null ||
    { echo "$header does not compile alone"; exit 1; }
done

"$cmake" -S "$source/examples" -B "$build/example-build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_BUILD_TYPE="$build_type" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_FLAGS="$flags" \
  -DCMAKE_CXX_COMPILER_LAUNCHER="$launcher" >/dev/null
"$cmake" --build "$build/example-build"

if [ ! -f "$data/t10k-images-idx3-ubyte.gz" ]; then
  echo "skipped: there is no $data (Debian's package dataset-fashion-mnist)"
  exit 77
fi
output=$build/example-build/resnet20_int8.onnx
report=$("$build/example-build/quantize_network" "$source/models/resnet20_fashion_mnist.onnx" "$source/models/fashion_mnist.yaml" "$output" 64)
echo "$report"

# Far below what the network reaches and far above chance: a wrong range or layout falls below it.
for network in float int8; do
  percent=$(echo "$report" | sed -n "s/.*$network \([0-9]*\)\..*/\1/p")
  [ -n "$percent" ] && [ "$percent" -ge 75 ] || { echo "$network: implausible accuracy"; exit 1; }
done
size=$(wc -c <"$output")
original=$(wc -c <"$source/models/resnet20_fashion_mnist.onnx")
[ $((size * 2)) -lt "$original" ] || { echo "the quantized file has $size bytes, the float one $original"; exit 1; }

# The engine of the same network, through the C++ and the C interface.
engine=$build/example-build/resnet20.octet
"$prefix/bin/octet" compile "$output" -q --no-timing -o "$engine"
"$build/example-build/run_engine" "$engine" 20
"$build/example-build/run_engine_c" "$engine" | grep -q "^output output: 10 elements" ||
  { echo "run_engine_c did not run the network"; exit 1; }
if "$build/example-build/run_engine_c" "$output" >/dev/null 2>"$build/example-build/refusal.txt"; then
  echo "run_engine_c took an ONNX file for an engine"
  exit 1
fi
grep -q "resnet20_int8.onnx" "$build/example-build/refusal.txt" || { echo "the refusal does not name the file"; exit 1; }
