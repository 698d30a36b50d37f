# gVisor's runsc, for the tests that run sessions in it: from Debian's packages,
# unpacked into the virtual environment, since no engine but the tests' own uses it.

ensure_gvisor() {
  local output archive
  if command -v runsc >/dev/null || [[ -x .venv/bin/runsc ]]; then
    return
  fi
  if ! command -v mmdebstrap >/dev/null; then
    install_packages "mmdebstrap, which unpacks gVisor," mmdebstrap debian-archive-keyring
  fi
  say "unpacking gVisor"
  archive=$(mktemp --suffix=.tar)
  if ! output=$(mmdebstrap --variant=extract --include=runsc trixie "$archive" 2>&1 </dev/null) ||
    ! output=$(tar -C .venv/bin --strip-components=3 -xf "$archive" ./usr/bin/runsc 2>&1); then
    rm -f "$archive"
    printf '%s\n' "$output" >&2
    die "cannot unpack gVisor: see the words above"
  fi
  rm -f "$archive"
}
