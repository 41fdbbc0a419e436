"""The types of our columns and the options of our tables on each database.

Migrations use them too: add what another database needs, and change nothing.
"""

from typing import Any

from sqlalchemy import BINARY, BigInteger, Integer, LargeBinary
from sqlalchemy.dialects.mysql import LONGBLOB, MEDIUMBLOB
from sqlalchemy.types import TypeEngine

TABLE_OPTIONS: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}
"""Text is compared byte by byte, for it is folded already."""

ROW_ID = BigInteger().with_variant(Integer(), "sqlite")


def digest(length: int) -> TypeEngine[bytes]:
    """Return the type of a digest of this many bytes."""
    return BINARY(length).with_variant(LargeBinary(length), "sqlite")


LINES = LargeBinary(2**24 - 1).with_variant(MEDIUMBLOB(), "mysql", "mariadb")
DOCUMENT = LargeBinary(2**32 - 1).with_variant(LONGBLOB(), "mysql", "mariadb")
