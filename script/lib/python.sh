# The virtual environment .venv.

# The first interpreter that is new enough and can make virtual environments
# (Debian's cannot before python3-venv is installed).
find_python() {
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  return 1
}

# ensure_python_environment [server]: all that the project needs, or only what serving does.
ensure_python_environment() {
  local python stamp=.venv/packages.sha256
  local -a sets=(dev.txt)
  if [[ ${1:-} == server ]]; then
    sets=(build.txt server.txt)
  fi
  # An environment whose interpreter was removed or replaced by an older one is no use.
  if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    if ! python=$(find_python); then
      install_packages "Python 3.11 or newer, with venv," python3 python3-venv
      python=$(find_python) || die "Python 3.11 or newer is needed; $(python3 --version) is what there is"
    fi
    say "creating .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
  fi
  # What is there for development does for serving, too.
  if ! sha256sum --check --status "$stamp" 2>/dev/null ||
    ! grep -q -e "requirements/${sets[-1]}" -e requirements/dev.txt "$stamp"; then
    say "installing the Python packages"
    pip_install --require-hashes "${sets[@]/#/--requirement=requirements/}"
    pip_install --no-build-isolation --no-deps --editable .
    sha256sum pyproject.toml "${sets[@]/#/requirements/}" >"$stamp"
  fi
}

pip_install() { .venv/bin/python -m pip install -qq --disable-pip-version-check "$@"; }
