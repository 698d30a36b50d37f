# gVisor's runsc, for the tests that run sessions in it: from Debian's packages,
# unpacked into the virtual environment, since no engine but the tests' own uses it.

ensure_gvisor() {
  if command -v runsc >/dev/null || [[ -x .venv/bin/runsc ]]; then
    return
  fi
  unpack_from_debian gVisor .venv/bin trixie runsc ./usr/bin/runsc
}
