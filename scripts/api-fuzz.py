"""What scripts/api-fuzz has schemathesis do, and what it then asks of it.

As hooks (SCHEMATHESIS_HOOKS): who asks, and for what is there.
As a program (ROLE TALLY): whether the role got through, and where to.
"""

import atexit
import base64
import hashlib
import hmac
import itertools
import json
import os
import struct
import sys
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict

# What no role is brought to succeed in here, with the reason. The tests of the crate do it.
OUT_OF_REACH = {
    "POST /api/v1/login/passkey": "needs an authenticator's signature",
    "POST /api/v1/me/passkeys": "needs an authenticator's signature",
    "POST /api/v1/me/passkeys/proof": "needs an authenticator's signature",
    "POST /api/v1/me/passkeys/proof-options": "needs a passkey",
    "PATCH /api/v1/me/passkeys/{id}": "needs a passkey",
    "DELETE /api/v1/me/passkeys/{id}": "needs a passkey",
    "POST /oauth/token": "needs a person who approves",
}


def own(operation):
    """Whether an operation is about one's own account, which a personal token never enters."""
    path = operation.split(" ")[1]
    return path.startswith(("/api/v1/me/", "/api/v1/session/data")) or operation == "PATCH /api/v1/me"


def device(operation):
    """What refuses whoever shows a credential in a header, which the built-in client has none of."""
    return operation in ("POST /oauth/device_authorization", "POST /oauth/token")


def open_to_all(operation):
    path = operation.split(" ")[1]
    return path in (
        "/token",
        "/api/v1/login",
        "/api/v1/login/passkey",
        "/api/v1/login/passkey/options",
        "/api/v1/refresh",
        "/api/v1/logout",
    )


def common(operation):
    """What needs somebody, but no admin."""
    path = operation.split(" ")[1]
    return own(operation) or path == "/api/v1/me" or path.startswith("/api/v1/buckets")


MAY = {
    "nobody": lambda operation: open_to_all(operation) or device(operation),
    "user": lambda operation: open_to_all(operation) or common(operation),
    "admin": lambda operation: not device(operation),
    # An API that asks what a token is worth is no page.
    "browser": lambda operation: operation != "POST /oauth/introspect",
    "script": lambda operation: not own(operation) and not device(operation),
}


def judge(role, file):
    """Whether everything that this role may do was done at least once, and nothing that it may not."""
    tally = json.load(open(file))
    faults, asked, done, unknown = [], 0, 0, 0
    for operation, answers in sorted(tally.items()):
        good = sum(count for status, count in answers.items() if status.startswith("2"))
        asked, done = asked + sum(answers.values()), done + good
        unknown += answers.get("401", 0)
        told = f"{operation} as {role}: {dict(sorted(answers.items()))}"
        if MAY[role](operation):
            if not good and operation not in OUT_OF_REACH:
                faults.append("never succeeded: " + told)
        elif good:
            faults.append("should not succeed: " + told)
    if asked == 0:
        faults.append("nothing was asked")
    for fault in faults:
        print(fault)
    print(f"{len(tally)} operations, {asked} requests, {done} successes, {unknown} answered 401")
    return not faults


if __name__ == "__main__":
    sys.exit(0 if judge(sys.argv[1], sys.argv[2]) else 1)

import schemathesis  # noqa: E402

ROLE, ORIGIN, PASSWORD = os.environ["ROLE"], os.environ["ORIGIN"], os.environ["PASSWORD"]


def send(method, path, body=None, headers=None):
    """The answer to a request of our own, and its headers."""
    headers = {"Content-Type": "application/json", **(headers or {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ORIGIN + path, data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
        return json.loads(text) if text else None, answer.headers


def login(name, **more):
    return send("POST", "/api/v1/login", {"username": name, "password": PASSWORD, **more})


class Actor:
    """Somebody with a credential, who makes another when it is refused."""

    def __init__(self, name, kind="token"):
        self.name, self.kind, self.held = name, kind, None
        # What its logins send beside the password.
        self.more = {}

    def headers(self):
        if self.held is None:
            self.held = getattr(self, "by_" + self.kind)()
        return self.held

    def forget(self):
        # A personal token lives on; what refuses it is not for scripts.
        if self.kind != "script":
            self.held = None

    def by_token(self):
        answer, _ = login(self.name, **self.more)
        return {"Authorization": "Bearer " + answer["access_token"]}

    def by_cookie(self):
        _, headers = login(self.name, cookie=True, **self.more)
        cookies = [line.split(";")[0] for line in headers.get_all("Set-Cookie")]
        # What another site could cause is refused, so the page that asks says where it is from.
        return {"Cookie": "; ".join(cookies), "Origin": ORIGIN}

    def by_script(self):
        wish = {"name": "fuzz", "scopes": ["profile", "media", "admin", "introspect"], "expires_days": 1}
        answer, _ = self.ask("POST", "/api/v1/me/tokens", wish, self.by_token())
        return {"Authorization": "Bearer " + answer["secret"]}

    def ask(self, method, path, body=None, headers=None):
        """A request of our own. A credential that its own acts made invalid is made again, once."""
        try:
            return send(method, path, body, headers or self.headers())
        except urllib.error.HTTPError as error:
            if error.code != 401 or headers:
                raise
            self.forget()
            return send(method, path, body, self.headers())


# `keeper` makes what the others work on, and its id is kept from them.
KEEPER = Actor("keeper")
KIND = {"browser": "cookie", "script": "script"}.get(ROLE, "token")
# Each role has an account of its name; that of nobody is for what is sent in bodies.
ME = None if ROLE == "nobody" else Actor(ROLE, KIND)
# What belongs to the account, and a script may not enter.
OWN = Actor(ROLE)
COUNT = itertools.count()


def number():
    """So that no two things have one name, whatever role made them."""
    return f"{ROLE} {os.getpid()} {next(COUNT)}"


def make_user():
    return KEEPER.ask("POST", "/api/v1/users", {"username": "spare-" + number().replace(" ", "-")})[0]["id"]


def make_group():
    return KEEPER.ask("POST", "/api/v1/groups", {"name": "group " + number()})[0]["id"]


def make_invite():
    return KEEPER.ask("POST", "/api/v1/invites", {})[0]["id"]


def make_token():
    wish = {"name": "spare", "scopes": ["media"], "expires_days": 1}
    return OWN.ask("POST", "/api/v1/me/tokens", wish)[0]["token"]["id"]


def make_session():
    return login(ROLE)[0]["session"]["id"]


def make_key():
    key = "notes/" + number().replace(" ", "-")
    ME.ask("PUT", "/api/v1/session/data/" + key, {"any": "thing"})
    return key


def passcode(secret):
    """The passcode of an authenticator app at this moment (RFC 6238)."""
    key = base64.b32decode(secret.replace(" ", "").upper())
    mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = mac[-1] & 15
    return str((struct.unpack(">I", mac[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000).zfill(6)


def newcomer():
    """Somebody new, for what would keep a role from logging in again."""
    name = "new-" + number().replace(" ", "-")
    KEEPER.ask("POST", "/api/v1/users", {"username": name, "password": PASSWORD})
    return Actor(name, "cookie" if KIND == "cookie" else "token")


def beginner():
    """Somebody who is setting up an authenticator app, and its first passcode."""
    actor = newcomer()
    secret = actor.ask("POST", "/api/v1/me/totp", {})[0]["secret"]
    return actor, {"passcode": passcode(secret)}


def enrolled():
    """Somebody with a second factor."""
    actor, first = beginner()
    codes = actor.ask("POST", "/api/v1/me/totp/confirm", first)[0]["recovery_codes"]
    # What was held before is out of date, and the passcode is used.
    actor.forget()
    actor.more = {"passcode": codes[0]}
    return actor


def make_enrolled():
    return enrolled().ask("GET", "/api/v1/me")[0]["id"]


def unproven():
    """Somebody with an address that is not proven yet."""
    actor = newcomer()
    actor.ask("PATCH", "/api/v1/me", {"email": actor.name + "@house.example"})
    actor.forget()
    return actor


def make_refused():
    """The id of a request that was refused."""
    try:
        send("GET", "/api/v1/me")
    except urllib.error.HTTPError as error:
        return error.headers["X-Request-Id"]


# How to make one of what a path names by this segment. Roles that may not act on them get them all the same.
MAKERS = {
    "users": make_user,
    "members": make_user,
    "groups": make_group,
    "invites": make_invite,
    "sessions": make_session,
    "enrolled": make_enrolled,
    "requests": make_refused,
    "buckets": lambda: "music",
}
if ME:
    MAKERS["tokens"] = make_token
if ME and ROLE != "script":
    MAKERS["data"] = make_key

# No role is to shut itself, another or the keeper out.
IDS = {one: login(one)[0]["account"]["id"] for one in ("keeper", "nobody", "user", "admin", "browser", "script")}

THERE = defaultdict(list)


def something(kind):
    """The id of one that is there; a new one when there is none."""
    if not THERE[kind]:
        THERE[kind].append(MAKERS[kind]())
    return THERE[kind][0]


def refresh_token():
    return login(ROLE)[0]["refresh_token"]


# The bodies that carry what only somebody who knows it can send, by operation.
RIGHT = {
    "POST /api/v1/login": lambda: {"username": ROLE, "password": PASSWORD},
    "POST /token": lambda: {"username": ROLE, "password": PASSWORD, "scope": "offline_access"},
    "POST /api/v1/refresh": lambda: {"refresh_token": refresh_token()},
    "POST /api/v1/logout": lambda: {"refresh_token": refresh_token()},
    "POST /oauth/device_authorization": lambda: {"client_id": "usher-device", "device_name": "Television"},
    "POST /oauth/introspect": lambda: {"token": refresh_token()},
    "POST /api/v1/me/reauthenticate": lambda: {"password": PASSWORD},
    "POST /api/v1/users/bulk": lambda: {"users": [something("users")], "act": "enable"},
    "POST /api/v1/groups": lambda: {"name": "group " + number()},
    "POST /api/v1/users": lambda: {"username": "drawn-" + number().replace(" ", "-")},
    "POST /api/v1/invites": lambda: {},
    "POST /api/v1/keys/rotate": lambda: {"now": True},
    "PUT /api/v1/me/signed-header": lambda: {"secret": "velvet-harbor-91"},
    "POST /api/v1/me/tokens": lambda: {"name": "drawn", "scopes": ["media"]},
}
# The same where it has to be somebody else: who asks, and the body.
RIGHT_OF_OTHERS = {
    "POST /api/v1/me/password": lambda: (newcomer(), {"current": PASSWORD, "password": "harbor-velvet-cactus-52"}),
    "POST /api/v1/me/totp/confirm": beginner,
    "DELETE /api/v1/me/totp": lambda: (enrolled(), {}),
    "POST /api/v1/me/recovery-codes": lambda: (enrolled(), {}),
    "POST /api/v1/me/email/verification": lambda: (unproven(), None),
}
# These need an account with a factor.
ENROLLED = ("DELETE /api/v1/users/{id}/factors", "POST /api/v1/users/{id}/recovery-link")
TURNS = Counter()
# The kinds of real ids in a request that is under way.
GIVEN = {}


def name_of(case):
    return f"{case.operation.method.upper()} {case.operation.path}"


def spare(value):
    """The same with another account in the place of each that is needed."""
    if isinstance(value, dict):
        return {key: spare(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [spare(one) for one in value]
    if isinstance(value, str) and any(id in value for id in IDS.values()):
        return something("users")
    return value


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = name_of(case)
    TURNS[operation] += 1
    right = TURNS[operation] % 2 == 0
    parts = case.operation.path.split("/")
    real = GIVEN[case.id] = []
    for name, drawn in (case.path_parameters or {}).items():
        kind = parts[parts.index("{" + name + "}") - 1]
        case.path_parameters[name] = spare(drawn)
        if operation in ENROLLED:
            kind = "enrolled"
        if right and kind in MAKERS:
            case.path_parameters[name] = something(kind)
            real.append(kind)
    actor = ME
    if right and operation in RIGHT:
        case.body = RIGHT[operation]()
    elif right and operation in RIGHT_OF_OTHERS and ME and ROLE != "script":
        actor, body = RIGHT_OF_OTHERS[operation]()
        if body is not None:
            case.body = body
    elif isinstance(case.body, (dict, list)):
        case.body = spare(case.body)
    if actor:
        case.headers = case.headers or {}
        for name in ("Authorization", "Cookie", "Origin"):
            case.headers.pop(name, None)
        case.cookies = {}
        case.headers.update(actor.headers())


@schemathesis.hook
def filter_case(context, case):
    # Drawn by chance, this would shut the role itself out.
    body = case.body if isinstance(case.body, dict) else {}
    return not (case.operation.path == "/api/v1/me/password" and body.get("current") == PASSWORD)


TALLY = defaultdict(Counter)


@schemathesis.hook
def after_call(context, case, response):
    operation = name_of(case)
    TALLY[operation][str(response.status_code)] += 1
    # What was there and is gone now, or never was this role's, is not asked for again.
    if case.operation.method.upper() == "DELETE" or response.status_code in (404, 409):
        for kind in GIVEN.get(case.id, []):
            if THERE[kind]:
                THERE[kind].pop(0)
    GIVEN.pop(case.id, None)
    if ME and response.status_code == 401:
        code = json.loads(response.content or b"{}").get("code")
        if code in ("session_ended", "invalid_token", "token_expired", "token_outdated", "reauthentication_required"):
            ME.forget()


@atexit.register
def keep_tally():
    with open(os.environ["TALLY"], "w") as file:
        json.dump(TALLY, file)
