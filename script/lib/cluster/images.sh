# Images for the nodes, which can pull none: this machine's engine has them, or they are made here.

# import_images: both nodes take the archive that comes as standard input, at the same time.
import_images() {
  local node import archive
  local -a imports=()
  archive=$(mktemp --tmpdir="$RUN" images.XXXXXX)
  cat >"$archive"
  for node in "${NODES[@]}"; do
    inside "$node" ctr --namespace k8s.io images import --local --discard-unpacked-layers - <"$archive" >/dev/null &
    imports+=($!)
  done
  for import in "${imports[@]}"; do
    wait "$import" || die "a node can't take the images: see containerd's words above"
  done
  rm -f "$archive"
}

# load_images IMAGE...: those that a node has not got, or has another of by that name.
load_images() {
  local image id node
  for image; do
    id=$(engine id "$image") || die "this machine's Docker engine has no image '$image'"
    for node in "${NODES[@]}"; do
      if ! node_has "$node" "$image" "$id"; then
        say "giving the nodes $image"
        engine save "$image" | import_images
        break
      fi
    done
  done
}

# node_has NODE IMAGE ID: containerd keeps each image by its name and by the digest that is Docker's id, too.
node_has() {
  local name=$2
  [[ $name == *:* ]] || name+=:latest
  inside "$1" ctr --namespace k8s.io images list | awk -v name="$name" -v id="$3" '
    $1 == id {by_id = $3}
    $1 == name || $1 == "docker.io/" name || $1 == "docker.io/library/" name {by_name = $3}
    END {exit !(by_id && by_id == by_name)}'
}
