# What attempts.py tries, as far as a shell can: for images that have no Python. Its arguments are the name of an
# attempt and two numbers; it tells the same facts, of fewer things.
echo "{\"kernel\": \"$(uname -r)\"}"
MIB=1048576

status() {
  while read -r name value; do
    [ "$name" != "$1:" ] || printf %s "$value"
  done </proc/self/status
}

memory() { # bytes
  step=4
  block=x
  while [ ${#block} -lt $((step * MIB)) ]; do block=$block$block; done
  echo '{"taken": 0, "swapped": 0}'
  taken=$step
  while [ $((taken * MIB)) -le "$1" ]; do
    eval "block$taken=\$block" || break
    swapped=$(status VmSwap)
    swapped=${swapped%% *}
    echo "{\"taken\": $((taken * MIB)), \"swapped\": $((${swapped:-0} * 1024))}"
    taken=$((taken + step))
  done
}

pids() { # processes
  # A shell that can't fork ends; only the inner one does.
  (
    started=0
    while [ $started -lt "$1" ]; do
      sleep 60 >/dev/null 2>&1 &
      started=$((started + 1))
      echo "$started" >started
      echo "{\"processes\": $started}"
    done
  ) || refused='"EAGAIN"'
  read -r started <started
  echo "{\"processes\": $started, \"refused\": ${refused:-null}}"
}

workspace() { # bytes, files
  head -c "$1" /dev/zero >fill || refused='"ENOSPC"'
  echo "{\"written\": $(wc -c <fill), \"refused\": ${refused:-null}}"
  rm fill
  refused=null
  made=0
  while [ $made -lt "$2" ]; do
    if ! true >"file$made"; then
      refused='"ENOSPC"'
      break
    fi
    made=$((made + 1))
  done
  echo "{\"files\": $made, \"refused\": $refused}"
}

network() {
  names=
  while read -r name rest; do
    case $name in
      *:*) names="$names${names:+, }\"${name%%:*}\"" ;;
    esac
  done </proc/net/dev
  echo "{\"interfaces\": [$names], \"reached\": [], \"resolved\": null}"
}

privileges() {
  uids=
  for uid in $(status Uid); do uids="$uids${uids:+, }\"$uid\""; done
  groups=
  for group in $(status Groups); do groups="$groups${groups:+, }\"$group\""; done
  capabilities=
  for name in CapInh CapPrm CapEff CapBnd CapAmb; do
    capabilities="$capabilities${capabilities:+, }\"$name\": \"$(status $name)\""
  done
  echo "{\"uids\": [$uids], \"groups\": [$groups], \"capabilities\": {$capabilities}, \"calls\": {}," \
    "\"no_new_privileges\": \"$(status NoNewPrivs)\", \"seccomp\": \"$(status Seccomp)\", \"become_root\": \"EPERM\"}"
}

"$@"
