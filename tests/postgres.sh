#!/bin/sh
# A private PostgreSQL cluster for tests: its own directory, a free port on loopback, no system service.
#
#   tests/postgres.sh start DIRECTORY     makes and starts it, prints its URL for BALCONY_TEST_POSTGRES
#   tests/postgres.sh restart DIRECTORY   stops it as a crash would, and starts it again on the same port
#   tests/postgres.sh halt DIRECTORY      stops it as a crash would
#   tests/postgres.sh resume DIRECTORY    starts it again on the same port
#   tests/postgres.sh stop DIRECTORY      stops it and removes the directory
#
# Needs Debian's package postgresql (its programs, not its service). Run by root, it works as the user postgres, since
# the server refuses to run as root.
set -eu

usage() {
    sed -n '3,7s/^# *//p' "$0" >&2
    exit 2
}

[ $# -eq 2 ] || usage
action=$1 directory=$2 cluster=$2/cluster log=$2/log

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$programs" ]; then
    echo "tests/postgres.sh: PostgreSQL is not installed: apt-get install postgresql" >&2
    exit 1
fi

as_owner() {
    if [ "$(id -u)" -eq 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

control() {
    # A server that is started keeps the output open for as long as it runs: none of ours.
    if ! as_owner "$programs/pg_ctl" -D "$cluster" -s -w -t 60 "$@" >"$directory/control" 2>&1 </dev/null; then
        cat "$directory/control" "$log" >&2
        exit 1
    fi
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

case $action in
start)
    mkdir -p "$directory"
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres "$directory"
    fi
    if ! as_owner "$programs/initdb" -D "$cluster" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
        >"$directory/control" 2>&1; then
        cat "$directory/control" >&2
        exit 1
    fi
    port=$(free_port)
    as_owner sh -c 'cat >>"$1"' sh "$cluster/postgresql.conf" <<SETTINGS
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$directory'
max_connections = 200
# Processes are killed here, never the machine: what was written is there without waiting for a disk.
fsync = off
SETTINGS
    control -l "$log" start
    echo "$port" >"$directory/port"
    echo "postgres://postgres@127.0.0.1:$port/postgres"
    ;;
restart)
    control -m immediate stop
    control -l "$log" start
    ;;
halt)
    control -m immediate stop
    ;;
resume)
    control -l "$log" start
    ;;
stop)
    control -m immediate stop
    rm -r "$directory"
    ;;
*) usage ;;
esac
