"""Passwords: their hashes for the configuration, and the check of a sign-in."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from lenticular.settings import Right, User

SCRYPT = {"n": 2**14, "r": 8, "p": 1}
HASHED = "scrypt:"


def hash_password(password: str) -> str:
    """Return the hash of the password for a configuration file."""
    salt = secrets.token_bytes(16)
    return f"{HASHED}{salt.hex()}:{_scrypt(password, salt).hex()}"


class Users:
    """The users who can sign in.

    A refusal costs one hash, whether the name or the password is wrong, so that the time of a
    response does not reveal which names exist.
    """

    def __init__(self, users: Iterable[User]) -> None:
        self._users = list(users)
        self._nobody = User("", hash_password(secrets.token_hex()), frozenset())

    def rights_of_plain(self, name: str, password: str) -> frozenset[Right] | None:
        """Return the rights of a user whose password is configured unhashed and right."""
        for user in self._users:
            is_plain = not user.password.startswith(HASHED)
            if same(user.name, name) and is_plain and same(user.password, password):
                return user.rights
        return None

    def rights_of(self, name: str, password: str) -> frozenset[Right] | None:
        """Return the rights of the user with this name and password; None if there is none."""
        named = [user for user in self._users if same(user.name, name)] or [self._nobody]
        for user in named:
            configured = user.password
            if not configured.startswith(HASHED):
                configured = self._nobody.password  # `rights_of_plain` has compared it
            _, salt, expected = configured.split(":")
            if same(_scrypt(password, bytes.fromhex(salt)).hex(), expected):
                return user.rights
        return None


def same(left: str, right: str) -> bool:
    """Compare two texts in a time that does not depend on where they differ."""
    return hmac.compare_digest(left.encode(), right.encode())


def _scrypt(password: str, salt: bytes) -> bytes:
    """Return the scrypt hash of a password."""
    return hashlib.scrypt(password.encode(), salt=salt, **SCRYPT)
