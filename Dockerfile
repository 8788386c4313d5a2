# Plimsoll's images: one static program each and nothing else. docker, podman and buildah take this file:
#
#   cargo build --release --bins -p plimsoll-operator -p plimsoll-worker -p plimsoll-testbed
#   docker build --target operator --tag plimsoll-operator:0.1.0 target/x86_64-unknown-linux-gnu/release -f Dockerfile
#
# `cargo xtask image` does all three by buildah, without a daemon.
# The user is a number, so that `runAsNonRoot` can be checked; any other works as well.

FROM scratch AS operator
COPY plimsoll-operator /plimsoll-operator
USER 65532:65532
ENTRYPOINT ["/plimsoll-operator"]

FROM scratch AS worker
COPY plimsoll-worker /plimsoll-worker
USER 65532:65532
ENTRYPOINT ["/plimsoll-worker"]

FROM scratch AS testbed
COPY testbed /testbed
USER 65532:65532
ENTRYPOINT ["/testbed"]
