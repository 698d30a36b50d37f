# The components: how each is started, and how it is seen that it is up.
#
# A node's component is NAME@NODE, and the control plane's is NAME. None is started again when it
# ends: whoever kills one wants to see what happens then.

components() {
  local node
  printf '%s\n' etcd kube-apiserver kube-controller-manager kube-scheduler
  for node in "${NODES[@]}"; do
    printf '%s\n' "containerd@$node" "kubelet@$node" "kube-proxy@$node"
    [[ $(cat "$RUN/options") == --without-policies ]] || echo "kube-router@$node"
  done
}

# machine_of COMPONENT
machine_of() {
  [[ -n $1 && " $(components | tr '\n' ' ') " == *" $1 "* ]] ||
    die "there is no component '$1'; there are $(components | tr '\n' ' ')"
  if [[ $1 == *@* ]]; then
    echo "${1#*@}"
  else
    echo control
  fi
}

# process_of COMPONENT: its id on its machine, if it runs.
process_of() {
  local machine
  machine=$(machine_of "$1")
  inside "$machine" sh -c '
    pid=$(cat "/mnt/pids/$1" 2>/dev/null) && [ "$(readlink "/proc/$pid/exe")" = "/mnt/bin/$1" ] && echo "$pid"' sh "${1%@*}"
}

# ended_components: those that were started and have ended.
ended_components() {
  local component
  for component in $(components); do
    if [[ -e $RUN/$(machine_of "$component")/pids/${component%@*} ]] && ! process_of "$component" >/dev/null; then
      echo "$component"
    fi
  done
}

start_component() {
  local component=${1:-} machine name
  local -a command
  machine=$(machine_of "$component")
  name=${component%@*}
  [[ -z $(process_of "$component" || true) ]] || return 0
  mapfile -t command < <("command_${name//-/_}" "$machine")
  inside "$machine" sh -c '
    name=$1
    shift
    setsid "$@" </dev/null >>"/mnt/log/$name" 2>&1 &
    echo $! >"/mnt/pids/$name"' sh "$name" "${command[@]}"
}

kill_component() {
  local component=${1:-} machine process
  machine=$(machine_of "$component")
  process=$(process_of "$component") || die "$component does not run"
  inside "$machine" sh -c 'kill -9 "$1"; while kill -0 "$1" 2>/dev/null; do sleep 0.05; done' sh "$process"
}

# Their command lines, a word a line.

command_etcd() {
  # Nobody needs what it has after the cluster's end, so it need not wait for the disk. Its pulse is slower
  # than a real one's, since it beats for nobody.
  printf '%s\n' etcd --data-dir=/mnt/etcd --unsafe-no-fsync --heartbeat-interval=500 --election-timeout=2500 \
    --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
    --listen-peer-urls=http://127.0.0.1:2380 --log-level=warn
}

command_kube_apiserver() {
  printf '%s\n' kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --bind-address="${ADDRESS[control]}" --advertise-address="${ADDRESS[control]}" \
    --tls-cert-file=/mnt/etc/kube-apiserver.crt --tls-private-key-file=/mnt/etc/kube-apiserver.key \
    --client-ca-file=/mnt/etc/ca.crt --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --kubelet-certificate-authority=/mnt/etc/ca.crt --kubelet-client-certificate=/mnt/etc/kubelet-client.crt \
    --kubelet-client-key=/mnt/etc/kubelet-client.key --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=/mnt/etc/service-accounts.pub \
    --service-account-signing-key-file=/mnt/etc/service-accounts.key \
    --service-cluster-ip-range="$SERVICES.0/24" --allow-privileged --profiling=false
}

command_kube_controller_manager() {
  printf '%s\n' kube-controller-manager --kubeconfig=/mnt/etc/kube-controller-manager.kubeconfig \
    --bind-address=127.0.0.1 --use-service-account-credentials --root-ca-file=/mnt/etc/ca.crt \
    --service-account-private-key-file=/mnt/etc/service-accounts.key --leader-elect=false --profiling=false
}

command_kube_scheduler() {
  printf '%s\n' kube-scheduler --kubeconfig=/mnt/etc/kube-scheduler.kubeconfig --bind-address=127.0.0.1 \
    --leader-elect=false --profiling=false
}

command_containerd() { printf '%s\n' containerd --config=/mnt/etc/containerd.toml --log-level=warn; }

command_kubelet() {
  printf '%s\n' kubelet --config=/mnt/etc/kubelet.yaml --kubeconfig=/mnt/etc/kubelet.kubeconfig \
    --hostname-override="$1" --node-ip="${ADDRESS[$1]}"
}

command_kube_proxy() { printf '%s\n' kube-proxy --config=/mnt/etc/kube-proxy.yaml; }

command_kube_router() {
  # Network policies are all that it sees to.
  printf '%s\n' kube-router --kubeconfig=/mnt/etc/kube-router.kubeconfig --hostname-override="$1" \
    --run-firewall=true --run-router=false --run-service-proxy=false --health-port=0 --service-cluster-ip-range="$SERVICES.0/24"
}

# install_programs MACHINE
install_programs() {
  local module
  for module in $(modules); do
    # One of its plugins has the name of a program that we need.
    if [[ $module == cni ]]; then
      mkdir -p "$RUN/$1/opt/cni/bin"
      cp --link "$(build_of cni)"/* "$RUN/$1/opt/cni/bin"
    else
      cp --link "$(build_of "$module")"/* "$RUN/$1/bin"
    fi
  done
}

# write_configuration NODE: the files that the node's components read.
write_configuration() {
  local node=$1 etc=$RUN/$1/etc file
  mkdir -p "$etc"/cni "$etc"/cni-nonet
  for file in kubelet.yaml kube-proxy.yaml containerd.toml; do
    fill_in "$node" "$file" >"$etc/$file"
  done
  fill_in "$node" pods.conflist >"$etc/cni/pods.conflist"
  fill_in "$node" nonet.conflist >"$etc/cni-nonet/nonet.conflist"
}

# fill_in NODE FILE: a file of config/, with this cluster's values.
fill_in() {
  sed -e "s|@ADDRESS@|${ADDRESS[$1]:-}|g; s|@PODS@|${PODS[$1]:-}|g; s|@SERVICES@|$SERVICES|g" \
    -e "s|@NODE@|$1|g; s|@CGROUP@|$CGROUP|g" "$CLUSTER_LIB/config/$2"
}
