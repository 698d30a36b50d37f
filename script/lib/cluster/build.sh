# The cluster's programs, built from Go modules: once a machine, and kept in the cache.
#
# Each directory of build/ is a module whose go.mod names versions and whose go.sum pins
# what they are made of. No build needs what another one makes, so a new version of one
# leaves the others as they are.

GO_WANTED=1.26   # what the newest of the modules asks for
BUILD_MEMORY=2000 # MB, at the worst moment
BUILD_DISK=8000   # MB, Go's own cache included
UNUSED_DAYS=30    # then a build is removed

# module_key MODULE: what it is built from, and how.
module_key() {
  { find "$CLUSTER_LIB/build/$1" -type f -print0 | LC_ALL=C sort -z | xargs -0 cat && declare -f build_module build_flags version_of; } |
    sha256sum | cut --characters=-16
}

module_directory() { printf '%s/%s-%s\n' "$BUILDS" "$1" "$(module_key "$1")"; }

modules() {
  local directory
  for directory in "$CLUSTER_LIB"/build/*/; do
    basename "$directory"
  done
}

go_is_fit() {
  local version
  command -v go >/dev/null && version=$(go env GOVERSION) || return
  printf '%s\n' "go$GO_WANTED" "$version" | sort --version-sort --check=quiet
}

# Whether all of them lie ready.
is_built() {
  local module
  for module in $(modules); do
    [[ -d $(module_directory "$module") ]] || return
  done
}

# What the programs are told of themselves, as Kubernetes' own build does: the API server goes by it.
build_flags() {
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
version_of() { awk -v wanted="$2" '$1 == wanted {print $2}' "$CLUSTER_LIB/build/$1/go.mod"; }

# build_module MODULE DIRECTORY: its programs, into the directory.
build_module() {
  local cgo=0 flags packages
  local -a tags=()
  # runc enters namespaces in C, and has its filters of system calls from a library in C.
  if [[ $1 == runc ]]; then
    cgo=1
    tags=(-tags seccomp)
  fi
  flags=$(build_flags)
  cd "$CLUSTER_LIB/build/$1"
  export CGO_ENABLED=$cgo GOTOOLCHAIN=local GOWORK=off
  if [[ -e main.go ]]; then
    packages=.
  else
    packages=$(go list -mod=readonly -f '{{.ImportPath}}' tool)
  fi
  # shellcheck disable=SC2086
  nice go build -mod=readonly -trimpath -buildvcs=false "${tags[@]}" -ldflags "$flags" -o "$2/" $packages
  # The last part of its path says little.
  [[ $1 != etcd ]] || mv "$2/server" "$2/etcd"
}

ensure_built() {
  local module directory
  for module in $(modules); do
    directory=$(module_directory "$module")
    if [[ -d $directory ]]; then
      touch "$directory"
      continue
    fi
    go_is_fit || die "building the cluster needs Go $GO_WANTED or newer"
    ensure_runc_library "$module"
    say "building the cluster's $module"
    rm -rf "$directory.new"
    mkdir -p "$directory.new"
    (build_module "$module" "$directory.new") ||
      die "cannot build the cluster's $module: see Go's words above"
    mv "$directory.new" "$directory"
  done
  if [[ ! -x $BUILDS/pause || $CLUSTER_LIB/pause.c -nt $BUILDS/pause ]]; then
    cc -std=gnu11 -Os -static -s -Wall -Wextra -Werror -o "$BUILDS/pause" "$CLUSTER_LIB/pause.c"
  fi
  find "$BUILDS" -mindepth 1 -maxdepth 1 -mtime "+$UNUSED_DAYS" -exec rm -rf {} +
}

ensure_runc_library() {
  if [[ $1 == runc ]] && ! { command -v pkg-config && pkg-config --exists libseccomp; } >/dev/null; then
    install_packages "libseccomp, which runc is built with," libseccomp-dev pkg-config
  fi
}
