"""Verifies received webhooks with the Python libraries: python verify.py FILE

FILE holds what run.mjs wrote; the output is one JSON list of {title, failure}."""

import json
import sys
import traceback

import standardwebhooks
import svix

LIBRARIES = {"svix": (svix.Webhook, "svix-"), "standardwebhooks": (standardwebhooks.Webhook, "webhook-")}


def refuses(verify, *given):
    try:
        verify(*given)
    except Exception:
        return
    raise AssertionError("accepted what has another signature")


def check(webhook, prefix, one, foreign_secret):
    headers = {name: value for name, value in one["headers"].items() if name.startswith(prefix)}
    for secret in one["secrets"]:
        event = webhook(secret).verify(one["body"], headers)
        # svix 2 verifies, and returns nothing.
        assert webhook is svix.Webhook or event["type"] == json.loads(one["body"])["type"], event
    refuses(webhook(foreign_secret).verify, one["body"], headers)
    refuses(webhook(one["secrets"][0]).verify, one["body"].replace('"event"', '"other"'), headers)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    results = []
    for name, (webhook, prefix) in LIBRARIES.items():
        for one in given["received"]:
            signed = "both secrets" if len(one["secrets"]) == 2 else "one secret"
            title = f"{name} (Python) verifies {json.loads(one['body'])['type']} signed with {signed}"
            try:
                check(webhook, prefix, one, given["foreignSecret"])
                results.append({"title": title})
            except Exception:
                results.append({"title": title, "failure": traceback.format_exc()})
    print(json.dumps(results))


main()
