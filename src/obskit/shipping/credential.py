"""Say who we are to a server: read anew for each request, shown to nobody."""

from __future__ import annotations

import base64

from obskit.settings.variable import variable

MOST = 16 * 1024
HIDDEN = "***"


class MissingError(OSError):
    """There is no credential to send at the moment; the message says where it was looked for."""


class Source:
    """Where a secret is: in the settings themselves, in a variable, in a file.

    Args:
        kind: "text", "env" or "file".
        place: The secret itself, the name of a variable, the path of a file.
    """

    __slots__ = ("_kind", "_place")

    def __init__(self, kind: str, place: str) -> None:
        self._kind = kind
        self._place = place

    def __repr__(self) -> str:
        return f"<Source {self._kind}>"

    def read(self) -> str:
        """Return the secret as it is now.

        Raises:
            MissingError: There is none.
        """
        if self._kind == "text":
            return self._place
        if self._kind == "env":
            text, where = variable(self._place).strip(), f"variable {self._place}"
        else:
            text, where = _content(self._place).strip(), f"file {self._place}"
        if not text:
            raise MissingError(f"{where} is empty or not set")
        if not text.isprintable():
            # It would become two headers, or an error that shows it.
            raise MissingError(f"{where} is not one line of text")
        return text


def _content(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(MOST)
    except (OSError, ValueError):
        raise MissingError(f"file {path} cannot be read") from None


class Credential:
    """What a server is told.

    Args:
        kind: "none", "basic" (user and secret), "token" or "api_key".
        secret: The password, token or key.
        user: The name that goes with a password.
    """

    __slots__ = ("_secret", "_user", "kind")

    def __init__(
        self, kind: str = "none", secret: Source | None = None, user: Source | None = None
    ) -> None:
        self.kind = kind
        self._secret = secret
        self._user = user

    def __repr__(self) -> str:
        return f"<Credential {self.kind}>"

    def headers(self, word: str = "Bearer", header: str = "Authorization") -> dict[str, str]:
        """Return the headers of a request.

        Args:
            word: What goes before a token.
            header: The header for a token; where it is another one the token stands alone.

        Raises:
            MissingError: There is no credential at the moment.
        """
        if self._secret is None:
            return {}
        secret = self._secret.read()
        if self.kind == "basic":
            user = "" if self._user is None else self._user.read()
            pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        if not secret.isascii():
            raise MissingError(f"the {self.kind} is not plain ASCII")
        if self.kind == "api_key":
            return {"Authorization": f"ApiKey {secret}"}
        return {header: f"{word} {secret}" if header == "Authorization" else secret}

    def hide(self, text: str) -> str:
        """Return *text*, which a server said, without our secret in it."""
        if self._secret is None or not text:
            return text
        try:
            hidden = [self._secret.read()]
            hidden += [value.rpartition(" ")[2] for value in self.headers().values()]
        except MissingError:
            return text
        for secret in filter(None, hidden):
            text = text.replace(secret, HIDDEN)
        return text
