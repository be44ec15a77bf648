# docker build -t kiba . && docker run -p 6464:6464 kiba
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin kiba --bin kiba-cli && strip target/release/kiba target/release/kiba-cli

FROM debian:bookworm-slim
RUN useradd --system --home-dir /var/lib/kiba --create-home kiba
COPY --from=build /src/target/release/kiba /src/target/release/kiba-cli /usr/local/bin/
COPY --from=build /src/kiba.conf /etc/kiba/kiba.conf
USER kiba
WORKDIR /var/lib/kiba
EXPOSE 6464
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s CMD ["kiba-cli", "ping"]
# A container has its own network, so it listens on all of it; set requirepass or publish the port on loopback only.
ENTRYPOINT ["kiba", "/etc/kiba/kiba.conf"]
CMD ["--bind", "0.0.0.0", "--protected-mode", "no"]
