# nginx for deploy/kubernetes, whose configuration and start come from there. Any other image with nginx 1.22 or newer will do.
ARG BASE=debian:trixie-slim
FROM ${BASE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/apt /var/log/dpkg.log
USER 10001:10001
EXPOSE 8080
# Connections that are there go on until they end.
STOPSIGNAL SIGQUIT
