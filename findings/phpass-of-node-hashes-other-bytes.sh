#!/usr/bin/env bash
# wordpress-hash-node, the library for Node that makes and checks the password hashes of WordPress,
# hashes other bytes than WordPress for a password that is not ASCII: neither accepts the other's hash.
#
# Installs wordpress-hash-node 1.0.0 from npm and passlib 1.7.4 from PyPI in a temporary folder. Each
# makes a portable phpass hash of two passwords and checks the other's. Exits 1 when this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts wordpress-hash-node@1.0.0
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check passlib==1.7.4

node_hash() { node -e 'console.log(require("wordpress-hash-node").HashPassword(process.argv[1]))' "$1"; }
node_check() { node -e 'console.log(require("wordpress-hash-node").CheckPassword(...process.argv.slice(1)))' "$1" "$2"; }
python_hash() { venv/bin/python -c 'import sys; from passlib.hash import phpass; print(phpass.using(rounds=8).hash(sys.argv[1]))' "$1"; }
python_check() { venv/bin/python -c 'import sys; from passlib.hash import phpass; print(str(phpass.verify(*sys.argv[1:])).lower())' "$1" "$2"; }

found=
for password in 'correct horse' 'grüße'; do
  of_python=$(python_check "$password" "$(node_hash "$password")")
  of_node=$(node_check "$password" "$(python_hash "$password")")
  echo "$password: passlib accepts the hash of wordpress-hash-node: $of_python; the other way round: $of_node"
  found="$found $of_python $of_node"
done
[ "$found" = " true true false false" ]
