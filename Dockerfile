# Both stages have the same base, because the environment is copied from one to the other. A release names it by digest:
# `docker build --build-arg RELEASE=yes --build-arg PYTHON=python:3.13-slim-bookworm@sha256:... .`
ARG PYTHON=python:3.13-slim-bookworm

FROM ${PYTHON} AS build
ARG PYTHON
ARG RELEASE=no
RUN digest="${PYTHON#*@sha256:}"; \
    case "$PYTHON" in \
      *@sha256:*) case "${#digest}-$digest" in *-*[!0-9a-f]*) base=wrong ;; 64-*) base=digest ;; *) base=wrong ;; esac ;; \
      *@*) base=wrong ;; \
      *) base=tag ;; \
    esac; \
    case "$RELEASE-$base" in \
      yes-digest | no-digest) ;; \
      no-tag) echo "PYTHON=$PYTHON names no digest: an image that is released has RELEASE=yes" >&2 ;; \
      yes-tag) echo "PYTHON=$PYTHON: RELEASE=yes needs a digest, NAME@sha256: and 64 hexadecimal digits" >&2; exit 1 ;; \
      *-wrong) echo "PYTHON=$PYTHON: a digest is sha256: and 64 hexadecimal digits" >&2; exit 1 ;; \
      *) echo "RELEASE=$RELEASE: it is yes or no" >&2; exit 1 ;; \
    esac
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/build && python -m venv /opt/routing-sync
# 1 compiles the rooms that decide, 0 leaves them to the interpreter: the same decisions, for more CPU
# (docs/benchmarks.md, *The compiled build*).
ARG ROUTING_SYNC_COMPILE=1
# hadolint ignore=DL3008
RUN if [ "$ROUTING_SYNC_COMPILE" = 1 ]; then \
      apt-get update \
      && apt-get install --yes --no-install-recommends gcc libc6-dev \
      && rm -rf /var/lib/apt/lists/*; \
    fi
COPY requirements.lock requirements-build.lock requirements-compile.lock /src/
RUN /opt/build/bin/pip install --require-hashes --only-binary :all: -r /src/requirements-build.lock \
 && /opt/routing-sync/bin/pip install --require-hashes --only-binary :all: -r /src/requirements.lock
RUN if [ "$ROUTING_SYNC_COMPILE" = 1 ]; then \
      /opt/build/bin/pip install --require-hashes --only-binary :all: -r /src/requirements-compile.lock; \
    fi
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY compiled_build compiled_build
COPY commands commands
COPY sync sync
COPY handlers handlers
COPY worker worker
RUN export ROUTING_SYNC_COMPILE="$ROUTING_SYNC_COMPILE" \
 && /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /opt/routing-sync/bin/pip install --no-deps --no-index /wheel/*.whl \
 && /opt/routing-sync/bin/pip uninstall --yes pip
# -P keeps the sources in this folder off the module search path.
RUN build=$(/opt/routing-sync/bin/python -P -c 'from worker.telemetry.build import BUILD; print(BUILD)') \
 && case "$ROUTING_SYNC_COMPILE-$build" in \
      1-compiled | 0-interpreted) ;; \
      *) echo "ROUTING_SYNC_COMPILE=$ROUTING_SYNC_COMPILE, and the build is $build" >&2; exit 1 ;; \
    esac

FROM ${PYTHON}
# The kernel discards a signal to process 1 while that process has no handler for it, and Python needs some time before
# it can have one. tini is process 1 instead and passes signals on. `-s`: also where it is not process 1.
# Its version is that of the base's Debian release: a pinned one disappears from the mirrors with the next.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/*
# Probes and clients come from outside the container, so neither server may listen on the loopback address alone: `run`
# answers probes at HTTP_HOST, `serve` everybody at API_HOST, for which it asks for API_TOKENS.
ENV PATH=/opt/routing-sync/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HTTP_HOST=0.0.0.0 API_HOST=0.0.0.0
COPY --from=build /opt/routing-sync /opt/routing-sync
WORKDIR /var/empty
USER 10001:10001
STOPSIGNAL SIGTERM
# It finds out which of the two this container runs.
HEALTHCHECK --interval=15s --timeout=10s --start-period=20s --retries=3 CMD ["python", "-m", "worker.cli.healthcheck"]
ENTRYPOINT ["tini", "-s", "--", "routing-sync"]
CMD ["run"]
