"""Makes the samples in this folder: exports of other systems with invented people at example.com, whose
password is "correct horse". Needs the packages of sojourn-service/tests/password_vectors/requirements.txt.

django.json is a dump of Django itself; the hashes are made by the libraries that the systems use. The
layouts are those that each system documents.
"""

import base64
import csv
import hashlib
import io
import json
import os
import pathlib
import sys
import tempfile

import argon2
import bcrypt
import django
from django.conf import settings
from django.core.management import call_command
from passlib.hash import phpass

PASSWORD = "correct horse"
here = pathlib.Path(__file__).parent


def bcrypt_hash(prefix=b"2b", rounds=6):
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds, prefix)).decode()


def write_csv(name, header, rows, delimiter=",", **more):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, **more)
    if header:
        writer.writerow(header)
    writer.writerows(rows)
    (here / name).write_bytes(text.getvalue().encode())


def write_json(name, value):
    (here / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


clerk = ("id,first_name,last_name,username,primary_email_address,primary_phone_number,verified_email_addresses,"
         "unverified_email_addresses,verified_phone_numbers,unverified_phone_numbers,totp_secret,password_digest,"
         "password_hasher").split(",")
ada = argon2.PasswordHasher(time_cost=1, memory_cost=512, parallelism=1).hash(PASSWORD)
write_csv("clerk.csv", clerk, [
    ["user_2fFyZGKaMQrtuGTQzmkLYuKXi8X", "Ada", "Lovelace", "ada", "ada@example.com", "+15550100",
     "ada@example.com,countess@example.com", "unproved@example.com", "+15550100", "", "JBSWY3DPEHPK3PXP",
     ada, "argon2id"],
    ["user_2fFyZGKaMQrtuGTQzmkLYuKXi8Y", "Grace", "Hopper, \"Amazing\"\nGrace", "", "grace@example.com", "",
     "grace@example.com", "", "", "", "", bcrypt_hash(b"2a"), "bcrypt"],
    ["user_2fFyZGKaMQrtuGTQzmkLYuKXi8Z", "Only", "Phone", "", "", "+15550101", "", "", "+15550101", "", "", "", ""],
])
write_json("clerk.json", [{
    "id": "user_2fFyZGKaMQrtuGTQzmkLYuKXi8X", "object": "user", "external_id": "app-1", "first_name": "Ada",
    "last_name": "Lovelace", "username": None, "locale": "en-GB", "banned": False,
    "primary_email_address_id": "idn_2",
    "email_addresses": [
        {"id": "idn_1", "email_address": "countess@example.com", "verification": {"status": "unverified"}},
        {"id": "idn_2", "email_address": "ada@example.com", "verification": {"status": "verified"}},
    ],
    "phone_numbers": [{"id": "idn_3", "phone_number": "+15550100"}], "external_accounts": [],
    "public_metadata": {"plan": "pro"}, "private_metadata": {}, "unsafe_metadata": {},
    "created_at": 1706702400000, "updated_at": 1706702400000, "password_enabled": True,
}])

auth0 = [
    {"user_id": "auth0|65ba3e80c8a2d6f1e0a1b2c3", "email": "ada@example.com", "email_verified": True,
     "given_name": "Ada", "family_name": "Lovelace", "name": "ada@example.com", "nickname": "ada",
     "created_at": "2024-01-31T12:00:00.000Z", "user_metadata": {"theme": "dark"}, "app_metadata": {"plan": "pro"},
     "identities": [{"provider": "auth0", "user_id": "65ba3e80c8a2d6f1e0a1b2c3"},
                    {"provider": "google-oauth2", "user_id": "1"}],
     "password_hash": bcrypt_hash()},
    {"_id": {"$oid": "65ba3e80c8a2d6f1e0a1b2c4"}, "email": "grace@example.com", "email_verified": False,
     "passwordHash": bcrypt_hash(), "password_set_date": {"$date": "2024-01-31T12:00:00Z"}, "tenant": "dev",
     "connection": "Username-Password-Authentication", "_tmp_is_unique": True},
    {"user_id": "auth0|65ba3e80c8a2d6f1e0a1b2c5", "email": "joan@example.com", "email_verified": True,
     "name": "Joan Clarke", "blocked": True,
     "custom_password_hash": {"algorithm": "sha256", "hash": {
         "value": hashlib.sha256(b"salty" + PASSWORD.encode()).hexdigest(), "encoding": "hex"},
         "salt": {"value": "salty", "position": "prefix"}}},
]
(here / "auth0.ndjson").write_text("".join(json.dumps(user) + "\n" for user in auth0))

signer = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
vectors = here / "../../../sojourn-service/tests/password_vectors/vectors.json"
vector = next(v for v in json.loads(vectors.read_text())
              if v["hasher"] == "scrypt_firebase" and v["password"] == PASSWORD)
firebase_hash, firebase_salt = vector["digest"].split("$")[:2]
(here / "firebase-hash-config.txt").write_text(f"""hash_config {{
  algorithm: SCRYPT,
  base64_signer_key: {signer},
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}}
""")
write_json("firebase.json", {"users": [
    {"localId": "fb1", "email": "ada@example.com", "emailVerified": True, "passwordHash": firebase_hash,
     "salt": firebase_salt, "displayName": "Ada Lovelace", "lastSignedInAt": "1706702400000",
     "createdAt": "1706702400000", "disabled": False, "customAttributes": "{\"admin\":true}",
     "providerUserInfo": []},
    {"localId": "fb2", "email": "grace@example.com", "emailVerified": False, "createdAt": "1706702400000",
     "phoneNumber": "+15550100", "disabled": True,
     "providerUserInfo": [{"providerId": "google.com", "rawId": "1", "email": "grace@example.com"}]},
]})
row = ["fb1", "ada@example.com", "true", firebase_hash, firebase_salt, "Ada Lovelace"] + [""] * 17
row += ["1706702400000", "1706702400000", "", "", ""]
other = ["fb2", "grace@example.com", "false", "", "", "Hopper, Grace", ""] + ["1", "grace@example.com", "", ""]
other += [""] * 12 + ["1706702400000", "1706702400000", "+15550100", "true", "{\"admin\":true}"]
write_csv("firebase.csv", None, [row + [""], other + [""]])

supabase = ["instance_id", "id", "aud", "role", "email", "encrypted_password", "email_confirmed_at",
            "confirmation_token", "last_sign_in_at", "raw_app_meta_data", "raw_user_meta_data", "is_super_admin",
            "created_at", "updated_at", "phone", "banned_until", "is_sso_user", "deleted_at", "is_anonymous"]
write_csv("supabase.csv", supabase, [
    ["00000000-0000-0000-0000-000000000000", "8f14e45f-ceea-467f-a5d3-000000000001", "authenticated",
     "authenticated", "ada@example.com", bcrypt_hash(b"2a"), "2024-01-31 12:00:00.123456+00", "", "",
     '{"provider": "email", "providers": ["email"], "plan": "pro"}', '{"full_name": "Ada Lovelace"}', "",
     "2024-01-31 12:00:00.123456+00", "2024-01-31 12:00:00.123456+00", "", "", "f", "", "f"],
    ["00000000-0000-0000-0000-000000000000", "8f14e45f-ceea-467f-a5d3-000000000002", "authenticated",
     "authenticated", "grace@example.com", bcrypt_hash(b"2a"), "", "secret", "", "{}", "{}", "f",
     "2024-01-31 12:00:00+00", "", "15550100", "2999-01-01 00:00:00+00", "f", "", "f"],
    ["00000000-0000-0000-0000-000000000000", "8f14e45f-ceea-467f-a5d3-000000000003", "authenticated",
     "authenticated", "", "", "", "", "", "{}", "{}", "", "2024-01-31 12:00:00+00", "", "", "", "f", "", "t"],
])

with tempfile.TemporaryDirectory() as folder:
    hashers = ["PBKDF2PasswordHasher", "PBKDF2SHA1PasswordHasher", "BCryptSHA256PasswordHasher",
               "ScryptPasswordHasher", "MD5PasswordHasher"]
    hashers = [f"django.contrib.auth.hashers.{name}" for name in hashers]
    hashers.append("django.contrib.auth.hashers.Argon2PasswordHasher")
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/db"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"], PASSWORD_HASHERS=hashers,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True)
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.hashers import get_hasher, make_password
    from django.contrib.auth.models import Group, User
    group = Group.objects.create(name="staff")
    kinds = ["pbkdf2_sha256", "pbkdf2_sha1", "bcrypt_sha256", "scrypt", "md5", "argon2"]
    for kind in kinds:
        user = User(username=kind, email=f"{kind}@example.com", first_name="Ada", last_name="Lovelace")
        user.password = make_password(PASSWORD, hasher=kind)
        user.save()
    user.groups.add(group)
    User(username="unusable", email="unusable@example.com", is_active=False, password=make_password(None)).save()
    User(username="nobody", password=make_password(None)).save()
    text = io.StringIO()
    call_command("dumpdata", "auth.group", "auth.user", indent=1, stdout=text)
    (here / "django.json").write_text(text.getvalue())


def keycloak(n, email, data, value, salt, **more):
    secret = {"value": base64.b64encode(value).decode(), "salt": base64.b64encode(salt).decode(),
              "additionalParameters": {}}
    return {"id": f"8f14e45f-ceea-467f-a5d3-00000000000{n}", "username": email, "email": email,
            "emailVerified": n == 1, "firstName": "Ada", "lastName": "Lovelace", "enabled": n != 3,
            "createdTimestamp": 1706702400000, "totp": False, "requiredActions": [], "realmRoles": ["default"],
            "credentials": [{"id": "c", "type": "password", "createdDate": 1706702400000,
                             "secretData": json.dumps(secret), "credentialData": json.dumps(data)}], **more}


salt = os.urandom(16)
argon = argon2.low_level.hash_secret_raw(PASSWORD.encode(), salt, 2, 7168, 1, 32, argon2.Type.ID)
write_json("keycloak.json", {"id": "realm", "realm": "example", "enabled": True, "clients": [], "users": [
    keycloak(1, "ada@example.com", {"hashIterations": 2, "algorithm": "argon2", "additionalParameters": {
        "hashLength": ["32"], "memory": ["7168"], "type": ["id"], "version": ["1.3"], "parallelism": ["1"]}},
        argon, salt, attributes={"department": ["analysis"]}),
    keycloak(2, "grace@example.com", {"hashIterations": 2750, "algorithm": "pbkdf2-sha256"},
             hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, 2750, 64), salt),
    keycloak(3, "joan@example.com", {"hashIterations": 2100, "algorithm": "pbkdf2-sha512"},
             hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), salt, 2100, 64), salt),
    keycloak(4, "dorothy@example.com", {"hashIterations": 1000, "algorithm": "pbkdf2"},
             hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), salt, 1000, 64), salt),
    {"id": "s", "username": "service-account-x", "enabled": True, "serviceAccountClientId": "x"},
]})

wordpress = ["ID", "user_login", "user_pass", "user_nicename", "user_email", "user_url", "user_registered",
             "user_activation_key", "user_status", "display_name"]
inner = base64.b64encode(__import__("hmac").digest(b"wp-sha384", PASSWORD.encode(), "sha384"))
new = "$wp" + bcrypt.hashpw(inner, bcrypt.gensalt(6)).decode().replace("$2b$", "$2y$")
write_csv("wordpress.csv", wordpress, [
    [1, "ada", phpass.using(rounds=8).hash(PASSWORD), "ada", "ada@example.com", "", "2024-01-31 12:00:00", "", 0,
     "Ada Lovelace"],
    [2, "grace", new, "grace", "grace@example.com", "https://example.com", "2024-01-31 12:00:00",
     "1706702400:$P$Bsecret", 0, "Grace"],
    [3, "odd", "*0", "odd", "odd@example.com", "", "0000-00-00 00:00:00", "", 0, "=1+1"],
], quoting=csv.QUOTE_ALL)
print("made", len(list(here.glob("*.*"))) - 1, "files", file=sys.stderr)
