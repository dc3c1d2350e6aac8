# Shared by the scripts here: what Octet needs from Debian, and how it is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

BUILD_PACKAGES=(g++ cmake ninja-build ccache libdnnl-dev libonnx-dev libprotobuf-dev protobuf-compiler libyaml-cpp-dev
  nlohmann-json3-dev libeigen3-dev libfmt-dev libcli11-dev libjpeg62-turbo-dev libpng-dev zlib1g-dev liblzma-dev
  libgraphviz-dev libjs-vega libmozjs-102-dev)
DATA_PACKAGES=(dataset-fashion-mnist)
TRAINING_PACKAGES=(libtorch-dev libgloo-dev)
TEST_PACKAGES=(libgtest-dev python3 python3-pip)

say() { printf '== %s\n' "$*"; }

# Installs the named Debian packages that are missing, and says which.
need_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "octet: run this as root, or install sudo; needed packages: ${missing[*]}" >&2; exit 1; }
    root=(sudo)
  fi
  say "installing from Debian's packages: ${missing[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Configures and builds one preset; all output goes to the terminal, errors last.
build_preset() {
  local preset=$1
  shift
  say "building (preset $preset, into build/$preset)"
  [ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" "$@"
}
