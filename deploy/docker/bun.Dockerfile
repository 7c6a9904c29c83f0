# Vitrine on Bun. From the repository's root: docker build -f deploy/docker/bun.Dockerfile -t vitrine .
# package.json pins the same version; a test compares them.
ARG RUNTIME=docker.io/oven/bun:1.4.5-slim
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${RUNTIME} AS build
WORKDIR /app
COPY package.json bun.lock ./
# The install script is there for development tools.
RUN bun install --frozen-lockfile --production --ignore-scripts
COPY src src
COPY routes routes
COPY page page
COPY deploy/docker/health_check.ts ./
RUN install -d -o 65532 -g 65532 /var/lib/vitrine && install -D "$(command -v bun)" /opt/bun

FROM ${BASE}
COPY --from=build /opt/bun /usr/local/bin/bun
COPY --from=build /app /app
COPY --from=build /var/lib/vitrine /var/lib/vitrine
# A container's loopback is of no use, so it listens on all addresses. Without tokens (VITRINE_TOKENS_FILE, VITRINE_TOKENS)
# it does not start there, unless VITRINE_INSECURE_OPEN=on says that whoever reaches it may do everything.
ENV VITRINE_HOST=0.0.0.0 \
    VITRINE_L2=file:///var/lib/vitrine
USER 65532:65532
WORKDIR /app
VOLUME /var/lib/vitrine
EXPOSE 8080 9090
# A stop may take VITRINE_SHUTDOWN_TIMEOUT (30s) and 5 s more: docker run --stop-timeout 40.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["bun", "health_check.ts"]
# The program itself, without a shell: signals reach it, also as process 1.
ENTRYPOINT ["bun", "src/main.ts"]
