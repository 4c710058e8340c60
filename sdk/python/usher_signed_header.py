"""Makes the header of a signed-header login.

For programs that talked to PyStream, RuStream or FastAPI-UI-Auth, and for new ones that have nothing better.
Needs nothing but the standard library.

    request = urllib.request.Request(url + "/login", method="POST")
    request.add_header("Authorization", signed_header("Alan Turing", secret))
"""

import base64
import hashlib
import time

__all__ = ["signed_header"]


def signed_header(user: str, secret: str, seconds: int | None = None) -> str:
    """The value of ``Authorization`` for a login as ``user``: good once, and for a minute.

    ``secret`` is the account's secret for signed headers, which is not its password. ``seconds`` is the time of the
    login since 1970; now, unless given.
    """
    stamp = str(round(time.time()) if seconds is None else seconds)
    name = _hexed(user)
    signature = hashlib.sha512((name + _hexed(secret) + stamp).encode("ascii")).hexdigest()
    return base64.b64encode(f"{name},{signature},{stamp}".encode("ascii")).decode("ascii")


def _hexed(text: str) -> str:
    """Each UTF-8 byte as ``\\u00`` and two hexadecimal digits."""
    return "".join(f"\\u{byte:04x}" for byte in text.encode("utf-8"))
