"""Tell by the name of a key whether its value may be written."""

from __future__ import annotations

from collections.abc import Iterable

from obskit.logs.secret import MARKER
from obskit.pattern import Pattern

__all__ = ["MARKER", "configure", "is_secret"]

MOST_VERDICTS = 4096
LONGEST_NAME = 200

# Wherever in a name one of these words stands, the value is secret.
_ANYWHERE = frozenset({
    "authorization", "credential", "credentials", "cvc", "cvv", "iban", "passcode",
    "passphrase", "passwd", "password", "passwords", "pwd", "secret", "secrets", "ssn",
})  # fmt: skip
# Secret as the last word of a name: a `token_type` or a `cookie_count` may be shown.
_LAST = frozenset({
    "auth", "bearer", "cookie", "cookies", "csrf", "jwt", "otp", "pin", "token", "xsrf",
})  # fmt: skip
# What may follow that last word without making it harmless.
_TAILS = frozenset({
    "base64", "data", "encoded", "hash", "header", "new", "old", "plain", "raw", "str",
    "string", "text", "value",
})  # fmt: skip
# Words that are secret side by side.
_SIDE_BY_SIDE = (
    "access key", "access tokens", "account number", "api key", "api keys", "api tokens",
    "auth key", "auth tokens", "bank account", "card no", "card number", "credit card",
    "debit card", "encryption key", "master key", "private key", "refresh tokens",
    "routing number", "secret key", "security code", "session id", "session key", "set cookie",
    "signing key", "social security", "tax id",
)  # fmt: skip
# The same written in one word; none of them is a part of an ordinary word.
_JOINED = (
    "password", "passwd", "passphrase", "apikey", "accesskey", "accesstoken", "authtoken",
    "refreshtoken", "bearertoken", "csrftoken", "sessiontoken", "secretkey", "privatekey",
    "clientsecret", "creditcard", "cardnumber", "sessionid", "setcookie",
)  # fmt: skip
_WORD = Pattern(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_verdicts: dict[str, bool] = {}
_phrases: tuple[str, ...] = ()


def configure(names: Iterable[str]) -> None:
    """Take *names* as secret beside the built-in ones, also as words inside of longer names."""
    global _phrases
    wanted = (*_SIDE_BY_SIDE, *filter(None, (_spelled(name) for name in names)))
    _phrases = tuple(f" {phrase} " for phrase in wanted)
    _verdicts.clear()


def _spelled(name: str) -> str:
    """Return the words of a name in lower case, with spaces between."""
    if name.islower() and name.isascii() and name.replace("_", "").isalpha():
        return " ".join(name.replace("_", " ").split())
    return " ".join(_WORD.findall(name)).lower()


def is_secret(name: str) -> bool:
    """Tell whether a value under *name* must not be written."""
    verdict = _verdicts.get(name)
    if verdict is None:
        verdict = _judge(name[:LONGEST_NAME])
        if len(_verdicts) >= MOST_VERDICTS:
            _verdicts.clear()
        _verdicts[name] = verdict
    return verdict


def _judge(name: str) -> bool:
    spelled = _spelled(name)
    words = spelled.split()
    if not words:
        return False
    joined = spelled.replace(" ", "")
    if not _ANYWHERE.isdisjoint(words) or any(word in joined for word in _JOINED):
        return True
    if any(phrase in f" {spelled} " for phrase in _phrases):
        return True
    while len(words) > 1 and (words[-1] in _TAILS or words[-1].isdecimal()):
        words.pop()
    return words[-1] in _LAST


configure(())
