# The image of the server: one binary on Debian, run by a user without rights, in a root file system that may be
# read-only. Base images are pinned by version; pin them by digest where builds must be repeatable.
#
#   docker build -t sojourn .
#
# What of this file was tried, and what was not: deploy/README.md.

# --- the browser scripts of the SDKs, from npm, checked against their pinned hashes; and the binary
FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends nodejs npm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo xtask bundles \
 && cargo build --release --locked --package sojourn \
 && install -D -m 0755 target/release/sojourn /out/sojourn

# --- the image
FROM debian:bookworm-slim
# Root certificates: for mail servers, webhooks, PostgreSQL and ACME over TLS.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 sojourn \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/sojourn --shell /usr/sbin/nologin sojourn \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/sojourn
COPY --from=build /out/sojourn /usr/local/bin/sojourn
COPY LICENSE-APACHE LICENSE-MIT THIRD-PARTY.md /usr/share/doc/sojourn/
COPY packaging/healthcheck /usr/local/bin/sojourn-healthcheck
USER 10001:10001
WORKDIR /var/lib/sojourn
# The only folder that is written: database, master key, certificates of ACME.
VOLUME /var/lib/sojourn
ENV SOJOURN_DATA=/var/lib/sojourn \
    SOJOURN_LOG_FORMAT=json \
    SOJOURN_ADMIN_LISTEN=127.0.0.1:4001
EXPOSE 4000 443
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["sojourn-healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["sojourn"]
CMD ["serve"]
