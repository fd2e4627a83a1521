#!/usr/bin/env bash
# Two SDKs send the secret key to their default host although another address is configured.
#
# Installs @clerk/fastify 3.1.79 and clerk-backend-api 7.0.0 in a temporary folder, gives each a session
# token in an ordinary request, and writes down which host it asks for the public keys, with which
# credentials. Nothing is sent: the HTTP clients are replaced. Exits 1 when this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

token=$(node -e '
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const now = Math.floor(Date.now() / 1000)
  console.log([part({ alg: "RS256", kid: "ins_1", typ: "JWT" }),
    part({ iss: "https://clerk.example.com", sub: "user_1", sid: "sess_1", iat: now, nbf: now, exp: now + 60 }), "c2ln"].join("."))')
export TOKEN=$token
export CLERK_SECRET_KEY=sk_test_of_another_server
export CLERK_PUBLISHABLE_KEY="pk_live_$(printf 'clerk.example.com$' | base64)"
export CLERK_API_URL=http://localhost:4000 CLERK_PROXY_URL=http://localhost:4000 CLERK_TELEMETRY_DISABLED=1

echo '{"private":true,"type":"module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @clerk/fastify@3.1.79 fastify@5.12.8
cat > app.mjs <<'JS'
const asked = []
globalThis.fetch = async (url, { headers }) => {
  asked.push(`${new URL(url).host} with ${new Headers(headers).get('authorization')}`)
  return new Response('{"keys":[]}', { headers: { 'content-type': 'application/json' } })
}
const { clerkPlugin } = await import('@clerk/fastify')
const { default: Fastify } = await import('fastify')
const app = Fastify()
app.register(clerkPlugin)
app.get('/', () => 'answered')
await app.inject({ url: '/', headers: { authorization: `Bearer ${process.env.TOKEN}` } })
console.log([...new Set(asked)].join('\n'))
JS
fastify=$(node app.mjs)
echo "@clerk/fastify 3.1.79, CLERK_API_URL=$CLERK_API_URL, a session token as bearer. It asked:"
echo "  $fastify"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check clerk-backend-api==7.0.0
cat > app.py <<'PY'
import os
import httpx
from clerk_backend_api import Clerk
from clerk_backend_api.security.types import AuthenticateRequestOptions

asked = []

def handle(self, request):
    asked.append(f"{request.url.host} with {request.headers.get('authorization')}")
    return httpx.Response(401, json={})

httpx.HTTPTransport.handle_request = handle
clerk = Clerk(bearer_auth=os.environ["CLERK_SECRET_KEY"], server_url=os.environ["CLERK_API_URL"] + "/v1")
public_key = "-----BEGIN PUBLIC KEY-----" + "-----END PUBLIC KEY-----"
for title, bearer, options in [
    ("a session token, no public key", os.environ["TOKEN"], AuthenticateRequestOptions()),
    ("a bearer ak_…, with the public key", "ak_chosen_by_the_caller", AuthenticateRequestOptions(jwt_key=public_key)),
    ("the same, session tokens only", "ak_chosen_by_the_caller",
     AuthenticateRequestOptions(jwt_key=public_key, accepts_token=["session_token"])),
]:
    asked.clear()
    clerk.authenticate_request(httpx.Request("GET", "http://app/", headers={"Authorization": f"Bearer {bearer}"}), options)
    print(f"{title}: {asked[0] if asked else 'nobody'}")
PY
python=$(venv/bin/python app.py)
echo "clerk-backend-api 7.0.0, server_url=$CLERK_API_URL/v1. It asked, for"
echo "$python" | sed 's/^/  /'

expected="api.clerk.com with Bearer $CLERK_SECRET_KEY"
[ "$fastify" = "$expected" ] || { echo "changed: @clerk/fastify asked something else"; exit 1; }
[ "$python" = "a session token, no public key: $expected
a bearer ak_…, with the public key: $expected
the same, session tokens only: nobody" ] || { echo "changed: clerk-backend-api asked something else"; exit 1; }
echo "as described: the secret key goes to the default host"
