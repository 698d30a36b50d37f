# What the tests of the deployment need, besides an engine.

ensure_deploy_tools() {
  if ! docker compose version >/dev/null 2>&1 && ! command -v docker-compose >/dev/null; then
    install_packages "Docker Compose, for the deployment's tests," docker-compose
  fi
  # Only as a program: without a runlevel, the package does not start the service.
  if ! command -v nginx >/dev/null && [[ ! -x /usr/sbin/nginx ]]; then
    RUNLEVEL=1 install_packages "nginx, for the deployment's tests," nginx
  fi
  # Nor do these two, without a runlevel.
  if ! [[ -x /usr/sbin/haproxy ]] || ! command -v caddy >/dev/null; then
    RUNLEVEL=1 install_packages "HAProxy and Caddy, for the deployment's tests," haproxy caddy
  fi
  # Nor does this one. It has promtool, too.
  if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
    RUNLEVEL=1 install_packages "Prometheus, for the tests of the metrics," prometheus
  fi
  if ! command -v curl >/dev/null; then
    install_packages "curl, for the tests of the documentation," curl
  fi
  ensure_kubectl
}

# It renders the manifests; older ones than 1.27 know other Kustomizations. Debian's is linked to nothing that differs.
ensure_kubectl() {
  if kubectl kustomize deploy/kubernetes/base >/dev/null 2>&1 || [[ -x .venv/kubectl/kubectl ]]; then
    return
  fi
  unpack_from_debian "kubectl, for the tests of the manifests" .venv/kubectl trixie kubectl ./usr/bin/kubectl
}
