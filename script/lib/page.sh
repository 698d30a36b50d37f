# The browser page: built from frontend/ into trio_exec/static.

# The directory with npm: the system's, or, where there is none or it is too
# old, the one in .venv.
find_npm() {
  if command -v npm >/dev/null && node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
      process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null; then
    dirname "$(command -v npm)"
    return
  fi
  printf '%s\n' "$PWD/.venv/bin"
}

ensure_page() {
  local stamp=frontend/node_modules/.page.sha256 sources npm
  # What it is built from, by names and contents; also when git is not there.
  sources=$(find frontend -name node_modules -prune -o -type f -print0 | LC_ALL=C sort -z |
    xargs -0 sha256sum | sha256sum)
  if [[ -f trio_exec/static/index.html && $(cat "$stamp" 2>/dev/null) == "$sources" ]]; then
    return
  fi
  npm=$(find_npm)
  say "building the page"
  (
    cd frontend
    export PATH="$npm:$PATH"
    # What checks it is left out where it is not there already. An npm ci begins with removing all there is.
    if ! cmp --silent package-lock.json node_modules/.checked.json &&
      ! cmp --silent package-lock.json node_modules/.built.json; then
      npm ci --silent --no-audit --no-fund --omit=dev
      cp package-lock.json node_modules/.built.json
    fi
    npm run --silent build
  ) >&2
  printf '%s\n' "$sources" >"$stamp"
}

# Types, lint and unit tests of the page.
check_page() {
  local npm
  npm=$(find_npm)
  (
    cd frontend
    export PATH="$npm:$PATH"
    if ! cmp --silent package-lock.json node_modules/.checked.json; then
      npm ci --silent --no-audit --no-fund
      cp package-lock.json node_modules/.checked.json
    fi
    npm run --silent check
  )
}

# The tests' browsers; any Chromium will do. The one without windows needs a fifth less time for the same tests.
ensure_browsers() {
  ensure_chromium
  command -v firefox-esr >/dev/null || command -v firefox >/dev/null ||
    install_packages "Firefox, for the page's tests," firefox-esr
}

ensure_chromium() {
  local name
  for name in chromium-headless-shell chromium chromium-browser; do
    if command -v "$name" >/dev/null; then
      return
    fi
  done
  install_packages "Chromium, for the page's tests," chromium-headless-shell
}
