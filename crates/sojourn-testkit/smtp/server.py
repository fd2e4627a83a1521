"""A mail server for tests: what it does with a mail is in the recipient's name.

Prints its port, then each mail that it was given as a line of JSON. Ends with its standard input.

    greylisted…   451 the first time that the address is named, then taken
    refused…      550
    slow…         the mail is received whole, and never answered
    anything else is taken
"""

import argparse
import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--certificate")
parser.add_argument("--key")
parser.add_argument("--implicit-tls", action="store_true")
parser.add_argument("--user")
parser.add_argument("--password")
arguments = parser.parse_args()


def tell(line):
    print(json.dumps(line), flush=True)


class Handler:
    def __init__(self):
        self.seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 5.1.1 There is no such mailbox"
        if address.startswith("greylisted") and address not in self.seen:
            self.seen.add(address)
            return "451 4.7.1 Greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        tell({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "data": envelope.content.decode("utf-8", "replace"),
            "tls": session.ssl is not None or arguments.implicit_tls,
            "user": session.auth_data.login.decode() if session.auth_data else None,
        })
        if envelope.rcpt_tos[0].startswith("slow"):
            await asyncio.sleep(3600)
        return "250 Taken"


def authenticate(server, session, envelope, mechanism, data):
    is_right = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (
        arguments.user,
        arguments.password,
    )
    return AuthResult(success=is_right, handled=False, auth_data=data if is_right else None)


async def main():
    context = None
    if arguments.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.certificate, arguments.key)
    start_tls = context is not None and not arguments.implicit_tls
    handler = Handler()

    def protocol():
        return SMTP(
            handler,
            hostname="mail.test",
            tls_context=context if start_tls else None,
            require_starttls=start_tls,
            auth_required=bool(arguments.user),
            auth_require_tls=start_tls,
            authenticator=authenticate,
        )

    at_once = context if arguments.implicit_tls else None
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", arguments.port, ssl=at_once)
    tell({"port": server.sockets[0].getsockname()[1]})
    # Whoever asks has read all mails that came before the answer.
    while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        tell({"pong": True})


asyncio.run(main())
