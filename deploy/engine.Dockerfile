# A Docker engine in a container, for compose.dind.yml.
ARG BASE=debian:trixie-slim
FROM ${BASE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      ca-certificates docker-cli docker.io iptables tini >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/apt /var/log/dpkg.log
# /proc/sys is read-only in a container that is not privileged, so the engine can't switch IPv6 off on the interfaces of
# the containers in which it builds images. Sessions have no network at all.
ENV DOCKER_HOST=unix:///run/engine/docker.sock \
    DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1
# The socket's group is the one that the server runs as; see the server's Dockerfile. No TCP: whoever can't open the
# socket can't reach the engine.
COPY engine-entrypoint /usr/local/bin/
# tini, since each container's supervisor ends as a child of the first process, and dockerd would never reap it.
ENTRYPOINT ["tini", "--", "engine-entrypoint", "--host=unix:///run/engine/docker.sock", "--group=10001", "--cgroup-parent=/trio-exec"]
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=6 CMD ["docker", "info", "--format", "{{.ID}}"]
STOPSIGNAL SIGTERM
