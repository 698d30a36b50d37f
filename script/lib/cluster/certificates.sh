# The cluster's certificates: one authority, and who is who. They live as long as the cluster.

# make_certificates: all that the components' command lines name, in $RUN/control/etc and each node's etc.
make_certificates() {
  local node etc=$RUN/control/etc
  make_key "$etc/ca"
  openssl req -x509 -new -key "$etc/ca.key" -subj "/CN=$CLUSTER" -days 30 -out "$etc/ca.crt" \
    -addext keyUsage=critical,keyCertSign,digitalSignature
  make_certificate "$etc/kube-apiserver" /CN=kube-apiserver \
    "IP:${ADDRESS[control]},IP:$SERVICES.1,IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc,DNS:kubernetes.default"
  make_certificate "$etc/kubelet-client" /CN=kube-apiserver-kubelet-client
  make_key "$etc/service-accounts"
  openssl pkey -in "$etc/service-accounts.key" -pubout -out "$etc/service-accounts.pub"
  make_kubeconfig "$etc/kube-controller-manager" /CN=system:kube-controller-manager
  make_kubeconfig "$etc/kube-scheduler" /CN=system:kube-scheduler
  make_kubeconfig "$etc/admin" /O=system:masters/CN=admin
  for node in "${NODES[@]}"; do
    cp "$etc/ca.crt" "$RUN/$node/etc"
    make_certificate "$RUN/$node/etc/kubelet-server" "/O=system:nodes/CN=system:node:$node" "IP:${ADDRESS[$node]},DNS:$node"
    make_kubeconfig "$RUN/$node/etc/kubelet" "/O=system:nodes/CN=system:node:$node"
    make_kubeconfig "$RUN/$node/etc/kube-proxy" /CN=system:kube-proxy
    make_kubeconfig "$RUN/$node/etc/kube-router" /CN=kube-router
  done
}

make_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }

# make_certificate PATH SUBJECT [NAMES]: PATH.key and PATH.crt; a server's, if it has names.
make_certificate() {
  local path=$1 subject=$2 names=${3:-} extensions=extendedKeyUsage=clientAuth
  if [[ -n $names ]]; then
    extensions=$(printf '%s\n' extendedKeyUsage=serverAuth "subjectAltName=$names")
  fi
  make_key "$path"
  openssl req -new -key "$path.key" -subj "$subject" |
    openssl x509 -req -CA "$RUN/control/etc/ca.crt" -CAkey "$RUN/control/etc/ca.key" -days 30 \
      -extfile <(echo "$extensions") -out "$path.crt" 2>/dev/null
}

# make_kubeconfig PATH SUBJECT: PATH.kubeconfig, with all that it takes inside.
make_kubeconfig() {
  local path=$1 subject=$2
  make_certificate "$path" "$subject"
  cat >"$path.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: cluster
clusters:
  - name: cluster
    cluster:
      server: https://${ADDRESS[control]}:6443
      certificate-authority-data: $(base64 --wrap=0 "$RUN/control/etc/ca.crt")
contexts:
  - name: cluster
    context: {cluster: cluster, user: user}
users:
  - name: user
    user:
      client-certificate-data: $(base64 --wrap=0 "$path.crt")
      client-key-data: $(base64 --wrap=0 "$path.key")
YAML
  rm "$path.crt" "$path.key"
}
