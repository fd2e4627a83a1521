import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from clerk_backend_api import Clerk
from clerk_backend_api.security.types import AuthenticateRequestOptions

clerk = Clerk(
    bearer_auth=os.environ["CLERK_SECRET_KEY"],
    server_url=os.environ["CLERK_API_URL"] + "/v1",
)


def user_of(request):
    state = clerk.authenticate_request(
        request,
        AuthenticateRequestOptions(
            jwt_key=os.environ["CLERK_JWT_KEY"],
            accepts_token=["session_token"],
        ),
    )
    return state.payload["sub"] if state.is_signed_in else None


def email_of(user_id):
    user = clerk.users.get(user_id=user_id)
    return next(e.email_address for e in user.email_addresses if e.id == user.primary_email_address_id)


def outside():
    try:
        return httpx.get("https://outside.invalid/").text
    except Exception as error:
        return str(error)


class Application(BaseHTTPRequestHandler):
    def do_GET(self):
        answers = {
            "/me": lambda: {"userId": user_of(self)},
            "/user": lambda: {"email": email_of(user_of(self))},
            "/outside": lambda: {"answer": outside()},
        }
        body = json.dumps(answers[self.path]()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Application)
print(json.dumps({"url": f"http://localhost:{server.server_port}"}), flush=True)
server.serve_forever()
