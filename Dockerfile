# The server: the page, the wheel, then a slim image that holds nothing but Python and the two.
# For the classic builder and for BuildKit; needs nothing but Debian, PyPI and npm.
ARG BASE=debian:trixie-slim

# --- What builds -----------------------------------------------------------------------------------------------------
FROM ${BASE} AS tools
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates python3-venv >/dev/null \
 && rm -rf /var/lib/apt/lists/*
# Networks that inspect TLS have a certificate authority of their own; see deploy/ca/README.md.
COPY deploy/ca /usr/local/share/ca-certificates/
RUN update-ca-certificates
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    NPM_CONFIG_CAFILE=/etc/ssl/certs/ca-certificates.crt \
    NPM_CONFIG_UPDATE_NOTIFIER=false \
    PATH=/opt/tools/bin:$PATH
# What builds, by the hashes of requirements/build.txt; Debian's npm would come as some four hundred packages.
COPY requirements/build.txt /tmp/
RUN python3 -m venv /opt/tools \
 && { pip install -q --require-hashes -r /tmp/build.txt \
      || { echo "PyPI can't be used: behind a proxy, or where TLS is inspected, see docs/deploy.md" >&2; exit 1; }; }

# --- The page --------------------------------------------------------------------------------------------------------
FROM tools AS page
WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --silent --no-audit --no-fund --omit=dev
COPY frontend ./
RUN npm run --silent build -- --logLevel warn

# --- The wheel, installed into the environment that the final image gets ---------------------------------------------
FROM tools AS wheel
RUN python3 -m venv --without-pip /opt/trio-exec
WORKDIR /src
# The dependencies first: they change less often than the code.
# otel.txt has what traces need as well.
ARG REQUIREMENTS=server.txt
COPY requirements/${REQUIREMENTS} /tmp/
RUN pip --python /opt/trio-exec/bin/python install -q --require-hashes -r "/tmp/$REQUIREMENTS"
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY trio_exec trio_exec
COPY --from=page /src/trio_exec/static trio_exec/static
RUN pip wheel -q --no-build-isolation --no-deps --wheel-dir /tmp/wheel . \
 && pip --python /opt/trio-exec/bin/python install -q --no-deps /tmp/wheel/*.whl

# --- What runs -------------------------------------------------------------------------------------------------------
FROM ${BASE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/apt /var/log/dpkg.log \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin trio-exec \
 && install --directory --owner trio-exec --group trio-exec --mode 750 /etc/trio-exec
COPY --from=wheel /opt/trio-exec /opt/trio-exec
COPY deploy/entrypoint /usr/local/bin/entrypoint
# The container's own loopback can't be published. By the next three, memory that large requests have taken goes back to
# the system after them; glibc would keep most of it, for its threads or for the next ones of that size.
ENV PATH=/opt/trio-exec/bin:$PATH \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=65536 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    TRIO_EXEC_HOST=0.0.0.0 \
    TRIO_EXEC_PORT=8080
USER trio-exec
EXPOSE 8080
# No init, such as tini, is needed: the server handles SIGTERM itself, and the guard that it starts outlives it.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=15s --retries=3 \
  CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['TRIO_EXEC_PORT']}/healthz\", timeout=4)"]
ENTRYPOINT ["entrypoint"]
CMD ["serve"]
# Last, since they differ from build to build.
ARG REVISION=unknown
LABEL org.opencontainers.image.title="trio-exec" \
      org.opencontainers.image.description="Runs untrusted code interactively in hardened Docker containers" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="debian:trixie-slim"
