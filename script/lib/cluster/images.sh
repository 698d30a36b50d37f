# Images for the nodes, which can pull none: this machine's engine has them, or they are made here.

# import_images: both nodes get the archive that standard input is, at the same time.
import_images() {
  local node archive
  local -a imports=()
  archive=$(mktemp --tmpdir="$RUN" images.XXXXXX)
  cat >"$archive"
  for node in "${NODES[@]}"; do
    inside "$node" ctr --namespace k8s.io images import --local --discard-unpacked-layers - <"$archive" >/dev/null &
    imports+=($!)
  done
  for node in "${imports[@]}"; do
    wait "$node" || die "a node can't take the images: see containerd's words above"
  done
  rm -f "$archive"
}

# load_images TAG...: those of Docker's that a node has not got, or has another of by that name.
load_images() {
  local tag id node
  local -a missing=()
  for tag; do
    id=$(docker image inspect --format '{{.Id}}' "$tag" 2>/dev/null) || die "this machine's Docker engine has no image '$tag'"
    for node in "${NODES[@]}"; do
      if ! node_has "$node" "$tag" "$id"; then
        missing+=("$tag")
        break
      fi
    done
  done
  if ((${#missing[@]})); then
    say "giving the nodes ${missing[*]}"
    docker save "${missing[@]}" | import_images
  fi
}

# node_has NODE TAG ID: containerd keeps each image by its name and by the digest that is Docker's id, too.
node_has() {
  [[ $2 == *:* ]] || set -- "$1" "$2:latest" "$3"
  inside "$1" ctr --namespace k8s.io images list | awk -v name="$2" -v id="$3" '
    $1 == id {by_id = $3}
    $1 == name || $1 == "docker.io/" name || $1 == "docker.io/library/" name {by_name = $3}
    END {exit !(by_id && by_id == by_name)}'
}
