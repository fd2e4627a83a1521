"""The digests of the libraries for Python, and those of make.mjs and make.php, as one JSON list."""

import base64
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys

import argon2
import bcrypt
import django
import passlib
from django.conf import settings
from django.contrib.auth import hashers
from passlib.hash import bcrypt as passlib_bcrypt
from passlib.hash import ldap_salted_sha1, phpass
from werkzeug.security import generate_password_hash

settings.configure()
PASSWORDS = ["correct horse", "grüße, Жук 🐎", "x" * 80 + "!"]
here, folder = pathlib.Path(__file__).parent, pathlib.Path(sys.argv[1])
made = []


def add(hasher, made_by, password, digest):
    made.append({"hasher": hasher, "made_by": made_by, "password": password, "digest": digest})


for password in PASSWORDS:
    raw = password.encode()
    for prefix in (b"2a", b"2b"):
        digest = bcrypt.hashpw(raw, bcrypt.gensalt(6, prefix)).decode()
        add("bcrypt", "bcrypt 4.0.1 (PyPI)", password, digest)
    passlib_digest = passlib_bcrypt.using(rounds=6, ident="2y").hash(password)
    add("bcrypt", f"passlib {passlib.__version__} (PyPI)", password, passlib_digest)
    # As Devise does it: the pepper comes after the password.
    peppered = bcrypt.hashpw(raw + b"a$pepper", bcrypt.gensalt(6)).decode()
    add("bcrypt_peppered", "bcrypt 4.0.1 (PyPI)", password, f"{peppered}$a$pepper")

    name = f"Django {django.__version__} (PyPI)"
    sha256_bcrypt = hashers.BCryptSHA256PasswordHasher()
    sha256_bcrypt.rounds = 6
    add("bcrypt_sha256_django", name, password, sha256_bcrypt.encode(password, sha256_bcrypt.salt()))
    pbkdf2 = hashers.PBKDF2PasswordHasher()
    add("pbkdf2_sha256_django", name, password, pbkdf2.encode(password, pbkdf2.salt(), 3000))
    salt, md5 = pbkdf2.salt(), hashers.MD5PasswordHasher()
    _, salt, digest = md5.encode(password, salt).split("$")
    add("md5_salted", name, password, f"{salt}${digest}")

    add("phpass", f"passlib {passlib.__version__} (PyPI)", password, phpass.using(rounds=8).hash(password))
    add("phpass", f"passlib {passlib.__version__} (PyPI)", password, phpass.using(rounds=7, ident="$H$").hash(password))
    inner = hashlib.md5(raw).hexdigest()
    add("md5_phpass", f"passlib {passlib.__version__} (PyPI)", password, phpass.using(rounds=7).hash(inner))
    add("ldap_ssha", f"passlib {passlib.__version__} (PyPI)", password, ldap_salted_sha1.hash(password))

    digest = generate_password_hash(password)
    add("scrypt_werkzeug", "Werkzeug 3.1.9 (PyPI)", password, digest)
    add("scrypt_werkzeug", "Werkzeug 3.1.9 (PyPI)", password, "$" + generate_password_hash(password, "scrypt:1024:8:2"))
    for kind, hasher in ((argon2.Type.ID, "argon2id"), (argon2.Type.I, "argon2i")):
        by = argon2.PasswordHasher(time_cost=2, memory_cost=512, parallelism=4, type=kind)
        add(hasher, f"argon2-cffi 25.1.0 (PyPI)", password, by.hash(password))

    # The layout of ASP.NET Core's PasswordHasher since .NET 7 (version 3, HMAC-SHA512, 100,000 rounds),
    # written by hand: the library for Node makes HMAC-SHA256 with 10,000.
    salt = os.urandom(16)
    key = hashlib.pbkdf2_hmac("sha512", raw, salt, 100_000, 32)
    layout = b"\x01" + struct.pack(">III", 2, 100_000, len(salt)) + salt + key
    add("aspnet_identity_v3", "hashlib, by the published layout", password, base64.b64encode(layout).decode())

for command in (["node", "make.mjs"], ["php", str(here / "make.php")]):
    output = subprocess.run([*command, *PASSWORDS], cwd=folder, check=True, capture_output=True, text=True)
    made.extend(json.loads(output.stdout))

made.sort(key=lambda vector: (vector["hasher"], vector["made_by"]))
print(json.dumps(made, indent=1, ensure_ascii=False))
