# Vitrine on Deno. From the repository's root: docker build -f deploy/docker/deno.Dockerfile -t vitrine .
# package.json pins the same version; a test compares them.
ARG RUNTIME=docker.io/denoland/deno:2.9.6
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${RUNTIME} AS build
WORKDIR /app
COPY package.json deno.json deno.lock ./
COPY src src
COPY routes routes
COPY page page
COPY deploy/docker/health_check.ts ./
ENV DENO_DIR=/opt/deno-dir DENO_NO_UPDATE_CHECK=1
RUN deno install --frozen --prod --entrypoint src/main.ts health_check.ts && rm -rf /opt/deno-dir/npm
RUN install -d -o 65532 -g 65532 /var/lib/vitrine && install -D "$(command -v deno)" /opt/deno

FROM ${BASE}
COPY --from=build /opt/deno /usr/local/bin/deno
# Sources that are compiled already; the server's user cannot write here.
COPY --from=build /opt/deno-dir /opt/deno-dir
COPY --from=build /app /app
COPY --from=build /var/lib/vitrine /var/lib/vitrine
# A container's loopback is of no use, so it listens on all addresses. Without tokens (VITRINE_TOKENS_FILE, VITRINE_TOKENS)
# it does not start there, unless VITRINE_INSECURE_OPEN=on says that whoever reaches it may do everything.
ENV VITRINE_HOST=0.0.0.0 \
    VITRINE_L2=file:///var/lib/vitrine \
    DENO_DIR=/opt/deno-dir \
    DENO_NO_UPDATE_CHECK=1
USER 65532:65532
WORKDIR /app
VOLUME /var/lib/vitrine
EXPOSE 8080 9090
# A stop may take VITRINE_SHUTDOWN_TIMEOUT (30s) and 5 s more: docker run --stop-timeout 40.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["deno", "run", "--allow-net", "--allow-env", "--allow-sys", "health_check.ts"]
# The program itself, without a shell: signals reach it, also as process 1. Nothing less than --allow-all opens
# /proc and /sys, where the container's limits and the machine's boot id are.
ENTRYPOINT ["deno", "run", "--allow-all", "--v8-flags=--max-semi-space-size=4", "src/main.ts"]
