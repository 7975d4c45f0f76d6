# The firewall in a container: nothing but the program, the starter policies and the certificate authorities.
#
#   docker build -t portcullis .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 6432:6432 portcullis run --upstream ...

FROM rust:1.95-bookworm AS build
# pg_query compiles PostgreSQL's parser (C compiler) and generates its bindings (libclang).
RUN apt-get update \
 && apt-get install -y --no-install-recommends clang cmake libclang-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock rust-toolchain.tom[l] ./
COPY src src
RUN cargo build --release --locked --bin portcullis

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="portcullis" \
      org.opencontainers.image.description="A SQL firewall for PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0"
# For sslrootcert=system.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/portcullis /usr/local/bin/portcullis
COPY policies /etc/portcullis/policies
# No account of the base image; an orchestrator sees a number and can check runAsNonRoot.
USER 65532:65532
# glibc keeps freed memory for each of many threads: long statements are read on a thread of their own.
ENV MALLOC_ARENA_MAX=2
ENV PORTCULLIS_POLICIES=/etc/portcullis/policies
EXPOSE 6432 9127
# No HEALTHCHECK: ask /healthz and /readyz on the admin port from outside, where the answer matters.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/portcullis"]
CMD ["run"]
