#!/usr/bin/env bash
# Builds the image of deploy/docker/Dockerfile and runs it as compose.yaml does, with Podman, without a registry: the base
# images are made here, of Debian's packages. Rust's stands in for itself: its "cargo" hands over the program that was built
# before (target/debug/balcony), so that everything of the Dockerfile is tried but the compilation.
#
# Needs root, a Debian mirror, and the packages podman, runc, buildah, debootstrap, docker-compose. Not part of an ordinary run.
# What it does not show: the compilation in the image of Rust, and compose.yaml as a whole, whose other images it cannot have.

set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d /var/tmp/balcony-container-XXXXXX)
engine=(--root "$place/store" --runroot "$place/run" --storage-driver vfs)
podman() { command podman "${engine[@]}" --runtime runc --cgroup-manager cgroupfs --events-backend file "$@"; }
buildah() { command buildah "${engine[@]}" "$@"; }
cleanup() {
    podman rm --all --force --time 1 >/dev/null 2>&1 || true
    umount "$place"/store/vfs-containers/*/userdata/shm 2>/dev/null || true
    rm -rf "$place"
}
trap cleanup EXIT
fail() { echo "$*" >&2; echo "0 passed, 1 failed"; exit 1; }

echo "compose.yaml is understood"
mkdir -p "$place/compose/deploy" && cp -r "$repository/deploy/." "$place/compose/deploy"
touch "$place/compose/deploy/docker/postgres.secret"
docker-compose --file "$place/compose/deploy/docker/compose.yaml" config --quiet || fail "compose.yaml is wrong"

echo "Base images"
debootstrap --variant=minbase bookworm "$place/debian" >"$place/debootstrap.log" 2>&1 || fail "$(tail -3 "$place/debootstrap.log")"
base=$(buildah from scratch)
buildah add -q "$base" "$place/debian" / >/dev/null
for settings in /etc/apt/apt.conf.d/*; do buildah add -q "$base" "$settings" /etc/apt/apt.conf.d/ >/dev/null; done
buildah commit -q "$base" localhost/debian >/dev/null
printf '#!/bin/sh\nmkdir -p target/release && cp /built/balcony target/release/balcony\n' >"$place/cargo"
chmod 755 "$place/cargo"
buildah add -q "$base" "$place/cargo" /usr/local/bin/cargo >/dev/null
buildah add -q "$base" "$repository/target/debug/balcony" /built/balcony >/dev/null
buildah commit -q "$base" localhost/rust >/dev/null
buildah rm "$base" >/dev/null

echo "The image"
mkdir "$place/source"
git -C "$repository" ls-files -z | tar -C "$repository" -c --null -T - | tar x -C "$place/source"
BUILDAH_ISOLATION=chroot podman build --isolation chroot --format docker --pull=never --network host \
    --build-arg RUST_IMAGE=localhost/rust --build-arg DEBIAN_IMAGE=localhost/debian \
    --tag localhost/balcony --file "$place/source/deploy/docker/Dockerfile" "$place/source" >"$place/build.log" 2>&1 ||
    fail "$(tail -20 "$place/build.log")"
grep -i "warning:" "$place/build.log" && fail "the build warns"

echo "A server in it"
mkdir -p "$place/etc/certs"
# The example of the compose file, without its database, which would be an image of others.
sed '/^\[storage\]/,/^password_file/d' "$repository/deploy/docker/balcony.toml" >"$place/etc/balcony.toml"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$place/etc/certs/example.org.key" \
    -out "$place/etc/certs/example.org.pem" -days 2 -subj /CN=example.org \
    -addext subjectAltName=DNS:example.org,DNS:rooms.example.org 2>/dev/null
chown -R 10001 "$place/etc/certs" && chmod 600 "$place/etc/certs/example.org.key"
start() { # as compose.yaml starts it; $1: the name of the container, which is the name of its host too
    podman run --detach --name "$1" --hostname "$1" --network none --read-only --cap-drop ALL \
        --security-opt no-new-privileges --ulimit nofile="$(ulimit -Hn):$(ulimit -Hn)" --ulimit nproc=4096:4096 \
        --volume balcony-data:/data --volume "$place/etc:/etc/balcony:ro" localhost/balcony >/dev/null 2>"$place/podman.log" ||
        fail "$(cat "$place/podman.log")"
    local tries=0
    until podman exec "$1" balcony status >"$place/status" 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 60 ] || fail "$(podman logs "$1" 2>&1 | tail -20; cat "$place/status")"
        sleep 0.5
    done
}
stop() {
    podman stop --time 20 "$1" >/dev/null 2>&1
    podman logs "$1" 2>&1 | grep -q '"event":"stopped"' || fail "it did not stop in peace: $(podman logs "$1" 2>&1 | tail -3)"
    [ "$(podman inspect --format '{{.State.ExitCode}}' "$1")" = 0 ] || fail "it ended with an error"
    podman rm "$1" >/dev/null 2>&1
}
start first
[ "$(podman exec first id -u)" = 10001 ] || fail "it runs as somebody else"
echo secret | podman exec --interactive first balcony account add romeo@example.org --password-stdin
cat "$place/status"
podman healthcheck run first >/dev/null 2>&1 || fail "the health check fails"
stop first

echo "Another container on the same volume, with another name"
start second
podman exec second balcony account list | grep -qx romeo@example.org || fail "the account is gone"
stop second
echo "1 passed, 0 failed"
