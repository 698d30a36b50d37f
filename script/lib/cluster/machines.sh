# The cluster's machines: control, node-1 and node-2, each with processes, mounts, a host name
# and a network of its own, which its first process holds open. Ending that one ends all.
#
# A machine's disk is the directory $RUN/NAME, which it sees as /mnt. Nothing of this file outlives
# the three processes but cgroups: they are the only thing that has to be looked for.

NODES=(node-1 node-2)
MACHINES=(control "${NODES[@]}")

declare -A ADDRESS=(
  [host]=$NETWORK.0.254
  [control]=$NETWORK.0.1
  [node-1]=$NETWORK.0.11
  [node-2]=$NETWORK.0.12
)
declare -A PODS=([node-1]=$NETWORK.1 [node-2]=$NETWORK.2) # /24 each
SERVICES=$NETWORK.100                                     # /24 too

# What the kubelet sets on a machine that is its own. This one is not: it is shown that all is well.
declare -A KUBELET_SYSCTLS=(
  [vm/overcommit_memory]=1
  [vm/panic_on_oom]=0
  [kernel/panic]=10
  [kernel/panic_on_oops]=1
  [kernel/keys/root_maxkeys]=1000000
  [kernel/keys/root_maxbytes]=25000000
)

# first_process MACHINE: its id, as this machine counts; found by its program and its argument, so also
# when whoever started it was killed before it could write anything down.
first_process() {
  local process
  local -a words
  for process in /proc/[0-9]*; do
    mapfile -d '' -t words 2>/dev/null <"$process/cmdline" || continue
    if [[ "${words[*]}" == "$BUILDS/pause-"*" $CLUSTER machine $1" && $(readlink "$process/exe") == "$BUILDS/pause-"* ]]; then
      basename "$process"
      return
    fi
  done
  return 1
}

# inside MACHINE COMMAND...: runs it there.
inside() {
  local id=${MACHINE_IDS[$1]:-}
  shift
  [[ -n $id ]] || die "the cluster is not up"
  nsenter --target "$id" --mount --uts --ipc --net --pid --wd=/ -- \
    env -i HOME=/root CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=true PATH=/mnt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

declare -A MACHINE_IDS=()

find_machines() {
  local machine id
  MACHINE_IDS=()
  for machine in "${MACHINES[@]}"; do
    if id=$(first_process "$machine"); then
      MACHINE_IDS[$machine]=$id
    fi
  done
}

start_machine() {
  local machine=$1 id sysctl
  mkdir -p "$RUN/$machine"/{bin,etc,log,pids,proc,opt,var/lib,var/log}
  # The shell's first child is the first process of the new namespace.
  id=$(unshare --pid --mount --net --uts --ipc --propagation slave sh -c \
    'setsid env -i "$@" </dev/null >/dev/null 2>&1 & echo $!' sh "$(build_of pause)/pause" "$CLUSTER" machine "$machine")
  MACHINE_IDS[$machine]=$id
  for sysctl in "${!KUBELET_SYSCTLS[@]}"; do
    mkdir -p "$RUN/$machine/sysctl/$(dirname "$sysctl")"
    echo "${KUBELET_SYSCTLS[$sysctl]}" >"$RUN/$machine/sysctl/$sysctl"
  done
  nsenter --target "$id" --mount --uts --net --pid --wd=/ -- sh -euc '
    machine=$1 disk=$2
    shift 2
    mount --make-rshared /
    hostname "$machine"
    mount -t proc proc /proc
    mount --bind "$disk" /mnt
    for directory in opt var/lib var/log; do
      mount --bind "/mnt/$directory" "/$directory"
    done
    mount -t tmpfs -o mode=755 tmpfs /run
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    for sysctl; do
      mount --bind "/mnt/sysctl/$sysctl" "/proc/sys/$sysctl"
    done
    # With a user namespace of its own, a pod may have a /proc only where one is to be seen that nothing covers.
    mount -t proc proc /mnt/proc
    ip link set lo up
  ' sh "$machine" "$RUN/$machine" "${!KUBELET_SYSCTLS[@]}"
}

# Services and policies work within a node only if what crosses its bridge passes its rules. Where the kernel
# learns that now, this machine's own bridges go on as they did.
ensure_bridge_rules() {
  [[ ! -e /proc/sys/net/bridge ]] || return 0
  modprobe br_netfilter || die "the cluster needs the kernel's br_netfilter"
  sysctl --quiet net.bridge.bridge-nf-call-{ip,ip6,arp}tables=0
}

# A bridge on the control machine is the switch. This machine has an interface there, to reach them all;
# none of them has a route that leads beyond.
connect_machines() {
  local machine node other
  inside control ip link add switch type bridge forward_delay 0
  inside control ip address add "${ADDRESS[control]}/24" dev switch
  inside control ip link set switch up
  for machine in "${NODES[@]}"; do
    inside control ip link add "$machine" type veth peer name eth0 address "$(link_address "$machine")"
    # Its number is one of this machine's.
    nsenter --target "${MACHINE_IDS[control]}" --net -- ip link set eth0 netns "${MACHINE_IDS[$machine]}"
    inside control ip link set "$machine" master switch up
    inside "$machine" ip address add "${ADDRESS[$machine]}/24" dev eth0
    inside "$machine" ip link set eth0 up
    inside "$machine" sysctl --quiet net.ipv4.ip_forward=1
  done
  ip link add "$HOST_INTERFACE" type veth peer name host netns "${MACHINE_IDS[control]}"
  inside control ip link set host master switch up
  ip address add "${ADDRESS[host]}/24" dev "$HOST_INTERFACE"
  ip link set "$HOST_INTERFACE" up
  for node in "${NODES[@]}"; do
    ip route add "${PODS[$node]}.0/24" via "${ADDRESS[$node]}"
    inside control ip route add "${PODS[$node]}.0/24" via "${ADDRESS[$node]}"
    # Services are translated on the way out; there has to be a way out.
    inside "$node" ip route add "$SERVICES.0/24" dev eth0
    for other in "${NODES[@]}"; do
      [[ $other == "$node" ]] || inside "$node" ip route add "${PODS[$other]}.0/24" via "${ADDRESS[$other]}"
    done
  done
  ip route add "$SERVICES.0/24" via "${ADDRESS[node-1]}"
}

# The same each time, so what remembers a neighbour is right also after a restart.
link_address() { printf '02:00:%02x:%02x:%02x:%02x\n' ${ADDRESS[$1]//./ }; }

# A cut is silent, as a broken cable behind a switch is: nobody is told, and packets go nowhere.
cut_off() { set_port "${1:-}" 0; }

mend() { set_port "${1:-}" 3; }

# set_port MACHINE STATE: 0 is disabled, 3 forwards.
set_port() {
  [[ -n $1 && " host ${NODES[*]} " == *" $1 "* ]] || die "there is no machine '$1' to cut off; there are host ${NODES[*]}"
  inside control bridge link set dev "$1" state "$2"
}

hierarchies() {
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    echo /sys/fs/cgroup
  else
    find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d
  fi
}

make_cgroups() {
  local hierarchy node
  for hierarchy in $(hierarchies); do
    if [[ $hierarchy == /sys/fs/cgroup ]]; then
      delegate /sys/fs/cgroup
      mkdir -p "/sys/fs/cgroup/$CGROUP"
      delegate "/sys/fs/cgroup/$CGROUP"
    fi
    for node in "${NODES[@]}"; do
      mkdir -p "$hierarchy/$CGROUP/$node"
    done
  done
}

# All controllers that there are: a kubelet insists on some that it does not use.
delegate() { sed -E 's/(\w+)/+\1/g' "$1/cgroup.controllers" >"$1/cgroup.subtree_control"; }

remove_cgroups() {
  local hierarchy
  for hierarchy in $(hierarchies); do
    [[ ! -d $hierarchy/$CGROUP ]] || find "$hierarchy/$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

cgroups_left() {
  local hierarchy
  for hierarchy in $(hierarchies); do
    [[ ! -d $hierarchy/$CGROUP ]] || echo "$hierarchy/$CGROUP"
  done
}
