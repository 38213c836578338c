#!/usr/bin/env bash
# cel 0.15.0 (crates.io), github.com/google/cel-go v0.31.0, cel-python 0.5.0 (PyPI), cel-js 0.8.2 and @marcbachmann/cel-js 8.0.0 (npm).
#
# Guess: over the JSON {"count": 3} each library of the Common Expression Language finds `data.count + 1 == 4` true, as each finds
# `data.count > 2`.
# Seen: each compares; of the sum
#   cel (Rust, by serde)      an error: the 3 is an unsigned integer, the 1 a signed one, and there is no sum of the two
#   cel-go (encoding/json)    an error: the 3 is a double, and there is none of a double and an integer
#   cel-python                true: the 3 is an integer
#   cel-js                    true: there is one kind of number
#   @marcbachmann/cel-js      an error, as cel-go
# A filter that was tried with one library fails with the next, and only once an event has come.
#
# Needs cargo, go, node, npm and python3 with venv. Fails when this changes.
set -euo pipefail

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"

mkdir -p rust/src
printf '[package]\nname = "read"\nversion = "0.1.0"\nedition = "2024"\n[dependencies]\ncel = "=0.15.0"\nserde_json = "1"\n' >rust/Cargo.toml
cat >rust/src/main.rs <<'RS'
use cel::{Context, Program};

fn main() {
    for text in ["data.count > 2", "data.count + 1 == 4"] {
        let data: serde_json::Value = serde_json::from_str(r#"{"count": 3}"#).unwrap();
        let mut context = Context::default();
        context.add_variable("data", data).unwrap();
        match Program::compile(text).unwrap().execute(&context) {
            Ok(cel::Value::Bool(it)) => println!("rust {it}"),
            Ok(other) => println!("rust {other:?}"),
            Err(_) => println!("rust error"),
        }
    }
}
RS
cargo run --quiet --manifest-path rust/Cargo.toml >seen

mkdir go
export GOPATH="$work/gopath" GOFLAGS=-modcacherw
cat >go/main.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"

	"github.com/google/cel-go/cel"
)

func main() {
	var data map[string]any
	json.Unmarshal([]byte(`{"count": 3}`), &data)
	for _, text := range []string{"data.count > 2", "data.count + 1 == 4"} {
		env, _ := cel.NewEnv(cel.Variable("data", cel.DynType))
		ast, issues := env.Compile(text)
		if issues.Err() != nil {
			panic(issues.Err())
		}
		program, _ := env.Program(ast)
		out, _, err := program.Eval(map[string]any{"data": data})
		if err != nil {
			fmt.Println("go error")
		} else {
			fmt.Println("go", out.Value())
		}
	}
}
GO
(cd go && go mod init read >/dev/null 2>&1 && go get github.com/google/cel-go/cel@v0.31.0 >/dev/null 2>&1 && go run .) >>seen

python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check cel-python==0.5.0
python/bin/python - >>seen <<'PY'
import json
import celpy

for text in ["data.count > 2", "data.count + 1 == 4"]:
    environment = celpy.Environment()
    program = environment.program(environment.compile(text))
    try:
        print("python", str(bool(program.evaluate({"data": celpy.json_to_cel(json.loads('{"count": 3}'))}))).lower())
    except celpy.CELEvalError:
        print("python error")
PY

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cel-js@0.8.2 @marcbachmann/cel-js@8.0.0
cat >read.mjs <<'JS'
import { evaluate } from "cel-js";
import { evaluate as other } from "@marcbachmann/cel-js";
const data = JSON.parse('{"count": 3}');
for (const [name, run] of [["cel-js", evaluate], ["marcbachmann", other]]) {
    for (const text of ["data.count > 2", "data.count + 1 == 4"]) {
        try {
            console.log(name, run(text, { data }));
        } catch {
            console.log(name, "error");
        }
    }
}
JS
node read.mjs >>seen

cat seen
diff seen - <<'SEEN'
rust true
rust error
go true
go error
python true
python true
cel-js true
cel-js true
marcbachmann true
marcbachmann error
SEEN
