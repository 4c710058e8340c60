# Signed headers as the three programs make them that this kind of login comes from, written anew from the description
# of their bytes and from nothing of this server: arguments WRITING USER SECRET SECONDS, prints the header.
import base64
import hashlib
import sys


def browser(text):
    """JavaScript: the last four characters of "00" and the unit's digits, for each UTF-16 unit."""
    units = text.encode("utf-16-be")
    numbers = [units[at] << 8 | units[at + 1] for at in range(0, len(units), 2)]
    return "\\u" + "\\u".join(("00" + format(number, "x"))[-4:] for number in numbers)


def python(text):
    """Python: two digits for each UTF-8 byte."""
    return "".join("\\u00" + format(byte, "02x") for byte in text.encode("utf-8"))


def rust(text):
    """Rust: at least four digits for each code point."""
    return "".join("\\u" + format(ord(letter), "04x") for letter in text)


writing, user, secret, seconds = sys.argv[1:5]
hexed = {"browser": browser, "python": python, "rust": rust}[writing]
signature = hashlib.sha512((hexed(user) + hexed(secret) + seconds).encode("ascii")).hexdigest()
print(base64.b64encode((hexed(user) + "," + signature + "," + seconds).encode("ascii")).decode("ascii"))
