# syntax=docker/dockerfile:1
# One image for every service: the binary, and nothing else that could be run.

FROM rust:1.91-slim-bookworm AS tools
# What librdkafka, OpenSSL and SQLite are built from source with.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ make perl \
    && rm -rf /var/lib/apt/lists/*
RUN cargo install cargo-chef --locked --version 0.1.78
WORKDIR /src

# The recipe is made of the manifests alone: it stays the same until a dependency changes.
FROM tools AS recipe
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json

FROM tools AS build
COPY --from=recipe /recipe.json /recipe.json
# Minutes, and kept until the recipe changes.
RUN cargo chef cook --profile dist --locked --package mainstem --recipe-path /recipe.json
COPY . .
RUN cargo build --profile dist --locked --package mainstem
# A volume that is new takes its owner from the directory of the image.
RUN mkdir --parents /out/mainstem/blobs

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/dist/mainstem /usr/local/bin/mainstem
COPY --from=build --chown=nonroot:nonroot /out/mainstem /var/lib/mainstem
USER nonroot:nonroot
WORKDIR /var/lib/mainstem
EXPOSE 7878
HEALTHCHECK --interval=10s --timeout=8s --start-period=30s --retries=6 CMD ["/usr/local/bin/mainstem", "health"]
ENTRYPOINT ["/usr/local/bin/mainstem"]
CMD ["--help"]
