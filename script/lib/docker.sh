# A Docker engine and the base images of the languages.
#
# The engine is asked through docker-py, as the server asks it: with the same
# reading of DOCKER_HOST, and whether or not there is a docker command.

DOCKERD_LOG=/var/log/dockerd.log
ENGINE_DEADLINE=60 # seconds from start to first answer; a first start takes some ten
PULL_DEADLINE=180  # seconds; a slim image is 30 MB
AUTHORITIES=/usr/local/share/ca-certificates # where administrators of Debian machines put their own

engine() { .venv/bin/python script/lib/engine.py "$@"; }

# build_images LANGUAGE...: those that are missing; prints the tags of all, the launcher's first.
build_images() {
  .venv/bin/trio-exec build "$@" >/dev/null
  .venv/bin/python - "$@" <<'PYTHON'
import sys

from trio_exec.executor.images import language_images, launcher_image
from trio_exec.languages import Languages

images = language_images(Languages.load(only=sys.argv[1:]).values())
print(launcher_image().tag, *(image.tag for image in images.values()), sep="\n")
PYTHON
}

ensure_docker_engine() {
  local reason started='' deadline
  if reason=$(engine ping 2>&1); then
    return
  fi
  # A socket that may not be used, or an engine elsewhere that is down, is not
  # mended by a second engine here.
  [[ -z ${DOCKER_HOST:-} ]] ||
    die "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST: start it, or unset DOCKER_HOST ($reason)"
  ((EUID == 0)) ||
    die "no Docker engine answers: start it, join the group 'docker', or run this as root ($reason)"
  if ! command -v dockerd >/dev/null; then
    install_packages "a Docker engine" docker.io ca-certificates
  fi
  deadline=$((SECONDS + ENGINE_DEADLINE))
  if [[ -d /run/systemd/system ]]; then
    systemctl start docker || die "systemd cannot start Docker: see 'journalctl -u docker'"
  elif ! dockerd_lives; then
    say "starting dockerd, with its log in $DOCKERD_LOG"
    # In a session of its own, and without our lock: it outlives this script.
    setsid dockerd </dev/null >>"$DOCKERD_LOG" 2>&1 {BOOTSTRAP_LOCK}<&- &
    started=$!
  fi
  until reason=$(engine ping 2>&1); do
    if ((SECONDS >= deadline)) || ! { kill -0 "$started" 2>/dev/null || dockerd_lives; }; then
      [[ ! -r $DOCKERD_LOG ]] || tail -n 20 "$DOCKERD_LOG" >&2
      die "the Docker engine does not answer ($reason); the end of its log is above"
    fi
    sleep 0.3
  done
}

# A second engine for the tests' own, newer than most machines': what is new in its
# API, and what it refuses by now. Its runc would need a newer C library; the machine's does.
ensure_newer_docker() {
  local -a programs=(
    ./usr/sbin/dockerd
    ./usr/sbin/docker-proxy
    ./usr/bin/containerd
    ./usr/bin/containerd-shim-runc-v2
  )
  if [[ -x .venv/newer-docker/dockerd ]]; then
    return
  fi
  unpack_from_debian "a newer Docker engine" .venv/newer-docker trixie docker.io,containerd "${programs[@]}"
}

dockerd_lives() {
  local pid
  pid=$(cat /var/run/docker.pid 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

# The certificate authorities that this machine trusts besides Debian's, as one short
# hash; "none" where there are none.
local_authorities() {
  local hashes
  hashes=$(find -L "$AUTHORITIES" -name '*.crt' -type f -exec sha256sum {} + 2>/dev/null | sort) || true
  if [[ -z $hashes ]]; then
    echo none
  else
    sha256sum <<<"$hashes" | cut --characters=-16
  fi
}

# ensure_base_image debian:SUITE-slim: one from elsewhere is left alone; one that was
# built here is built anew when the machine trusts other authorities since.
ensure_base_image() {
  local image=$1
  if engine current "$image" "$(local_authorities)"; then
    return
  fi
  say "pulling $image"
  if timeout "$PULL_DEADLINE" .venv/bin/python script/lib/engine.py pull "$image"; then
    return
  fi
  say "cannot pull $image: building it from Debian's packages"
  build_base_image "$image"
}

# Like the published image: Debian's required packages and apt, without
# documentation and translations, and without recommended packages. And with the
# machine's own authorities, which whatever installs ca-certificates then trusts: where
# nothing can be pulled, somebody may be inspecting TLS.
build_base_image() {
  local image=$1 suite=${1#debian:} archive output authorities hooks=/usr/share/mmdebstrap/hooks/merged-usr
  suite=${suite%-slim}
  if ! command -v mmdebstrap >/dev/null; then
    install_packages "mmdebstrap, which builds $image," mmdebstrap debian-archive-keyring
  fi
  local -a options=(
    --variant=minbase
    --dpkgopt='path-exclude=/usr/share/doc/*'
    --dpkgopt='path-include=/usr/share/doc/*/copyright'
    --dpkgopt='path-exclude=/usr/share/man/*'
    --dpkgopt='path-exclude=/usr/share/info/*'
    --dpkgopt='path-exclude=/usr/share/locale/*'
    --aptopt='Acquire::Languages "none"'
    --aptopt='APT::Install-Recommends "false"'
  )
  # Otherwise bookworm merges / and /usr by a package that brings all of Perl.
  if [[ -d $hooks ]]; then
    options+=(--hook-dir="$hooks" --include=usr-is-merged)
  fi
  authorities=$(local_authorities)
  if [[ $authorities != none ]]; then
    options+=(--customize-hook="cd '$AUTHORITIES' && mkdir -p \"\$1$AUTHORITIES\" &&
      find -L . -name '*.crt' -type f -exec cp --dereference --parents --target-directory=\"\$1$AUTHORITIES\" {} +")
  fi
  # By way of a file: an image imported from a pipe would be there, and be
  # taken for whole, also when mmdebstrap failed half-way.
  archive=$(mktemp --suffix=.tar)
  if ! output=$(mmdebstrap "${options[@]}" "$suite" "$archive" 2>&1 </dev/null); then
    rm -f "$archive"
    printf '%s\n' "$output" >&2
    die "cannot build $image: see mmdebstrap's words above"
  fi
  if ! engine import "$image" "$archive" "$authorities"; then
    rm -f "$archive"
    die "cannot import $image"
  fi
  rm -f "$archive"
}
