#!/usr/bin/env bash
# The newest svix libraries verify a webhook and return nothing: code that reads the event from the
# result of verify, as with earlier versions and with standardwebhooks, gets no event.
#
# Installs svix 1.84.1 and 2.5.0, and standardwebhooks 1.0.0, from npm, and svix 2.9.1 from PyPI in a
# temporary folder, gives each the same validly signed message, and prints what verify returns. Exits 1
# when this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

echo '{"private":true,"type":"module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts \
  old@npm:svix@1.84.1 new@npm:svix@2.5.0 standardwebhooks@1.0.0
cat > verify.mjs <<'JS'
import { createHmac } from 'node:crypto'
const { Webhook } = await import(process.argv[2])
const key = Buffer.alloc(24, 7)
const body = '{"type":"session.ended"}'
const time = Math.floor(Date.now() / 1000)
const signature = createHmac('sha256', key).update(`msg_1.${time}.${body}`).digest('base64')
const prefix = process.argv[2] === 'standardwebhooks' ? 'webhook' : 'svix'
const headers = { [`${prefix}-id`]: 'msg_1', [`${prefix}-timestamp`]: `${time}`, [`${prefix}-signature`]: `v1,${signature}` }
const event = new Webhook(`whsec_${key.toString('base64')}`).verify(body, headers)
console.log(event === undefined ? 'nothing' : `the event ${event.type}`)
JS
old=$(node verify.mjs old)
new=$(node verify.mjs new)
standard=$(node verify.mjs standardwebhooks)

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check svix==2.9.1
python=$(venv/bin/python - <<'PY'
import base64, datetime, hashlib, hmac
from svix.webhooks import Webhook

key = bytes([7]) * 24
body = '{"type":"session.ended"}'
time = str(int(datetime.datetime.now(datetime.timezone.utc).timestamp()))
signed = hmac.new(key, f"msg_1.{time}.{body}".encode(), hashlib.sha256).digest()
headers = {"svix-id": "msg_1", "svix-timestamp": time, "svix-signature": "v1," + base64.b64encode(signed).decode()}
event = Webhook("whsec_" + base64.b64encode(key).decode()).verify(body, headers)
print("nothing" if event is None else f"the event {event['type']}")
PY
)

echo "A validly signed message. verify returns:"
echo "  svix 1.84.1 (npm):             $old"
echo "  svix 2.5.0 (npm):              $new"
echo "  svix 2.9.1 (PyPI):             $python"
echo "  standardwebhooks 1.0.0 (npm):  $standard"
[ "$new" = nothing ] && [ "$python" = nothing ] && [ "$standard" = "the event session.ended" ] && [ "$old" = "the event session.ended" ]
