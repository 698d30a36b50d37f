# The languages' images as one, for engines in pods; docs/kubernetes.md says how the archive is made.
ARG ENGINE=trio-exec/engine:0.1.0
FROM ${ENGINE}
# Archives of `docker save` are root's alone.
COPY --chown=10001:10001 languages.tar /
USER 10001:10001
ENTRYPOINT ["docker", "load", "--quiet", "--input", "/languages.tar"]
HEALTHCHECK NONE
