#!/usr/bin/env bash
# standardwebhooks 1.1.1 (npm), standardwebhooks 1.1.0 (PyPI), github.com/standard-webhooks/standard-webhooks/libraries v0.0.1 (Go).
#
# Guess: the project's own libraries for one specification read one text of a secret alike, or refuse it.
# Seen, for one secret of 25 bytes written in four ways and one valid signature:
#   with padding               every library verifies it
#   without padding            JavaScript and Python verify it; Go refuses the secret
#   in base64's URL alphabet   Go and JavaScript refuse the secret; Python takes it, drops the two characters that it does not know, and
#                              says of each message that no signature matches
#   a newline at its end       Python and Go verify it; JavaScript refuses the secret
# A list of signatures in which one is without a version, before the good one: JavaScript and Go pass over it, Python raises ValueError,
# which is none of the errors that the library documents.
#
# Needs node, npm, python3 with venv, and go. Fails when this changes.
set -euo pipefail

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts standardwebhooks@1.1.1
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check standardwebhooks==1.1.0
export GOPATH="$work/go" GOFLAGS=-modcacherw
mkdir program
printf 'module program\n\ngo 1.21\n' >program/go.mod

cat >read.js <<'JS'
const { Webhook } = require("standardwebhooks"), { createHmac } = require("crypto");
const raw = Buffer.from(Array.from({ length: 25 }, (_, i) => (i * 37 + 251) % 256)), text = raw.toString("base64");
const ways = { padded: text, unpadded: text.replace(/=/g, ""), url: text.replace(/\+/g, "-").replace(/\//g, "_"), newline: text + "\n" };
const id = "msg_1", at = String(Math.floor(Date.now() / 1000)), body = "{}";
const signature = "v1," + createHmac("sha256", raw).update(`${id}.${at}.${body}`).digest("base64");
const read = (way, signatures) => {
    try {
        new Webhook("whsec_" + ways[way]).verify(body, { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": signatures });
        return "verified";
    } catch (error) {
        return error.message === "No matching signature found" ? "no match" : "refused";
    }
};
for (const way in ways) console.log("javascript", way, read(way, signature));
console.log("javascript", "list", read("padded", "abc " + signature));
JS
cat >read.py <<'PY'
import base64, hashlib, hmac, time
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

raw = bytes((i * 37 + 251) % 256 for i in range(25))
text = base64.b64encode(raw).decode()
ways = {"padded": text, "unpadded": text.replace("=", ""), "url": text.replace("+", "-").replace("/", "_"), "newline": text + "\n"}
name, at, body = "msg_1", str(int(time.time())), "{}"
signature = "v1," + base64.b64encode(hmac.new(raw, f"{name}.{at}.{body}".encode(), hashlib.sha256).digest()).decode()


def read(way, signatures):
    try:
        webhook = Webhook("whsec_" + ways[way])
    except Exception:
        return "refused"
    try:
        webhook.verify(body, {"webhook-id": name, "webhook-timestamp": at, "webhook-signature": signatures})
        return "verified"
    except WebhookVerificationError:
        return "no match"
    except Exception as error:
        return type(error).__name__


for way in ways:
    print("python", way, read(way, signature))
print("python", "list", read("padded", "abc " + signature))
PY
cat >program/main.go <<'GO'
package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	raw := make([]byte, 25)
	for i := range raw {
		raw[i] = byte((i*37 + 251) % 256)
	}
	text := base64.StdEncoding.EncodeToString(raw)
	at, body := time.Now(), []byte("{}")
	signer, err := standardwebhooks.NewWebhook("whsec_" + text)
	if err != nil {
		panic(err)
	}
	signature, err := signer.Sign("msg_1", at, body)
	if err != nil {
		panic(err)
	}
	read := func(secret, signatures string) string {
		webhook, err := standardwebhooks.NewWebhook("whsec_" + secret)
		if err != nil {
			return "refused"
		}
		headers := http.Header{}
		headers.Set("webhook-id", "msg_1")
		headers.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
		headers.Set("webhook-signature", signatures)
		if webhook.Verify(body, headers) != nil {
			return "no match"
		}
		return "verified"
	}
	fmt.Println("go padded", read(text, signature))
	fmt.Println("go unpadded", read(strings.TrimRight(text, "="), signature))
	fmt.Println("go url", read(base64.URLEncoding.EncodeToString(raw), signature))
	fmt.Println("go newline", read(text+"\n", signature))
	fmt.Println("go list", read(text, "abc "+signature))
}
GO
(cd program && go get github.com/standard-webhooks/standard-webhooks/libraries@v0.0.1 2>/dev/null)

{
    node read.js
    python/bin/python read.py
    (cd program && go run .)
} | tee seen
diff - seen <<'EXPECTED'
javascript padded verified
javascript unpadded verified
javascript url refused
javascript newline refused
javascript list verified
python padded verified
python unpadded verified
python url no match
python newline verified
python list ValueError
go padded verified
go unpadded refused
go url refused
go newline verified
go list verified
EXPECTED
