#!/bin/sh
# usage: runtime_library.sh LIBRARY: the shared runtime needs nothing but the C++ library, threads and oneDNN, and
# exports nothing but the public API.
set -eu
library=$1
needed=$(objdump -p "$library" | sed -n 's/ *NEEDED *//p')
for name in $needed; do
  case $name in
    libstdc++.so.* | libm.so.* | libgcc_s.so.* | libc.so.* | ld-linux* | libdnnl.so.* | libgomp.so.*) ;;
    libasan.so.* | libubsan.so.* | libtsan.so.*) ;;
    *) echo "$library needs $name"; exit 1 ;;
  esac
done
wrong=$(nm -D --defined-only -C "$library" | sed 's/^[0-9a-f]* [A-Za-z] //' | grep -v -e '^octet_' \
  -e '^octet::\(Engine\|Session\|Tensor\)::' -e '^octet::[a-z_0-9]*\(\[abi:cxx11\]\)*(' -e '^OCTET' || true)
[ -z "$wrong" ] || { echo "$library exports more than the API:"; echo "$wrong" | head; exit 1; }
nm -D --defined-only "$library" | grep -q ' octet_run' || { echo "$library does not export octet_run"; exit 1; }
