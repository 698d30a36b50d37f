# Helpers of the other scripts.

say() { printf '==> %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# install_packages PURPOSE PACKAGE...: by apt, or says what somebody has to install.
install_packages() {
  local purpose=$1 output
  local -a options=(-qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  shift
  command -v apt-get >/dev/null ||
    die "$purpose is missing, and this is not Debian: install it (Debian calls it: $*), then run this again"
  ((EUID == 0)) ||
    die "$purpose is missing: run 'sudo apt-get install $*', or this script as root"
  say "installing $*"
  # One source of several that does not answer is no reason to stop: whether
  # the packages can be had shows below.
  output=$(apt-get update "${options[@]}" 2>&1 </dev/null) || true
  output+=$(DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    "${options[@]}" "$@" 2>&1 </dev/null) || {
    printf '%s\n' "$output" >&2
    die "cannot install $*: see apt's words above"
  }
}

# unpack_from_debian WHAT DIRECTORY SUITE PACKAGE[,PACKAGE] FILE...: programs out of
# packages of any Debian, without installing these; for the tests.
unpack_from_debian() {
  local what=$1 directory=$2 suite=$3 packages=$4 output archive
  shift 4
  if ! command -v mmdebstrap >/dev/null; then
    install_packages "mmdebstrap, which unpacks $what," mmdebstrap debian-archive-keyring
  fi
  say "unpacking $what"
  mkdir -p "$directory"
  archive=$(mktemp --suffix=.tar)
  if ! output=$(mmdebstrap --variant=extract --include="$packages" "$suite" "$archive" 2>&1 </dev/null) ||
    ! output=$(tar -C "$directory" --strip-components=3 -xf "$archive" "$@" 2>&1); then
    rm -f "$archive"
    printf '%s\n' "$output" >&2
    die "cannot unpack $what: see the words above"
  fi
  rm -f "$archive"
}
