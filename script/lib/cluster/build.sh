# The cluster's programs: built once a machine, and kept in the cache.
#
# All but one are Go's. Each directory of modules/ is a Go module that names versions (go.mod) and pins what
# they are made of (go.sum). None needs another's, so a new version of one leaves the others as they are.

GO_WANTED=1.26.8 # what the newest of the modules asks for
BUILD_DISK=11000 # MB, Go's own cache included
BUILD_UNUSED=30  # days; then it is removed

modules() {
  local directory
  for directory in "$CLUSTER_LIB"/modules/*/; do
    basename "$directory"
  done
}

# build_of MODULE: the directory of its programs, named after what they are built from and how.
build_of() {
  local key
  key=$({
    find "$CLUSTER_LIB/modules/$1" -type f -print0 | LC_ALL=C sort -z | xargs -0 cat
    declare -f build_module linker_flags version_of
  } | sha256sum)
  printf '%s/%s-%s\n' "$BUILDS" "$1" "${key:0:16}"
}

is_built() {
  local module
  for module in $(modules); do
    [[ -d $(build_of "$module") ]] || return
  done
}

go_is_fit() { printf '%s\n' "go$GO_WANTED" "$(go env GOVERSION)" | sort --version-sort --check=quiet; }

# What the programs are told of themselves, as Kubernetes' own build does: the API server goes by it.
linker_flags() {
  local kubernetes containerd minor package
  kubernetes=$(version_of kubernetes k8s.io/kubernetes)
  containerd=$(version_of containerd github.com/containerd/containerd/v2)
  minor=${kubernetes#v1.}
  printf '%s ' -s -w "-X github.com/containerd/containerd/v2/version.Version=$containerd"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf '%s ' "-X $package.gitVersion=$kubernetes" "-X $package.gitMajor=1" "-X $package.gitMinor=${minor%%.*}"
  done
}

# version_of MODULE WANTED: as the module's go.mod has it.
version_of() { awk -v wanted="$2" '$1 == wanted {print $2}' "$CLUSTER_LIB/modules/$1/go.mod"; }

# build_module MODULE DIRECTORY: its programs, into the directory.
build_module() {
  local flags
  local -a packages=(.) tags=()
  cd "$CLUSTER_LIB/modules/$1"
  if [[ $1 == pause ]]; then
    cc -std=gnu11 -Os -static -s -Wall -Wextra -Werror -o "$2/pause" pause.c
    return
  fi
  export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off
  # runc enters namespaces in C, and has its filters of system calls from a library in C.
  if [[ $1 == runc ]]; then
    CGO_ENABLED=1
    tags=(-tags seccomp)
  fi
  # Tools are programs of other modules, that Go builds at the versions that are named here.
  if [[ ! -e main.go ]]; then
    mapfile -t packages < <(go list -mod=readonly -f '{{.ImportPath}}' tool)
  fi
  flags=$(linker_flags)
  nice go build -mod=readonly -trimpath -buildvcs=false "${tags[@]}" -ldflags "$flags" -o "$2/" "${packages[@]}"
  # Its path ends in a word that says little.
  [[ $1 != etcd ]] || mv "$2/server" "$2/etcd"
}

ensure_built() {
  local module build lock
  mkdir -p "$BUILDS"
  # One at a time: the others find the work done.
  exec {lock}<"$BUILDS"
  flock "$lock"
  for module in $(modules); do
    build=$(build_of "$module")
    if [[ -d $build ]]; then
      touch "$build"
      continue
    fi
    if [[ $module == runc ]] && ! { command -v pkg-config && pkg-config --exists libseccomp; } >/dev/null; then
      install_packages "libseccomp, which runc is built with," libseccomp-dev pkg-config
    fi
    say "building the cluster's $module"
    rm -rf "$build.new"
    mkdir "$build.new"
    # In a shell of its own, where a failure ends it: in a condition, it would go on.
    CLUSTER_LIB=$CLUSTER_LIB bash -euo pipefail -c "$(declare -f build_module linker_flags version_of)"$'\n''build_module "$@"' bash "$module" "$build.new" ||
      die "cannot build the cluster's $module: see the words above"
    mv "$build.new" "$build"
  done
  find "$BUILDS" -mindepth 1 -maxdepth 1 -mtime "+$BUILD_UNUSED" -exec rm -rf {} +
  exec {lock}<&-
}
