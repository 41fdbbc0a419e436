"""Where the machine's processes work: a folder and SQLite, or a bucket and MariaDB."""

import dataclasses
import secrets
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event, select

from lenticular.dicom.model import Target
from lenticular.index import Index
from lenticular.index.sql.schema import instances, series, studies
from lenticular.limits import Limits
from lenticular.services import Services, open_services
from lenticular.settings import Settings
from lenticular.storage.s3 import S3Storage
from lenticular.transactions.ingest.dropped_file import dropped_name
from tests.helpers.databases import MariaDB, empty_tables
from tests.helpers.model.ports import Clock, database_of, watch_ports
from tests.helpers.model.process import Process, watch_the_file_system
from tests.helpers.s3 import make_bucket, s3_client

PREFIX = "below"
LIMITS = Limits(threads=1, upload_part_bytes=700, writer_attempts=3)
"""One thing after the other, so that a history is the same each time."""


@dataclass(frozen=True)
class Row:
    """What the index says of an instance."""

    key: str
    size: int
    sha256: bytes


class World(ABC):
    """Files, an index and two processes that work on them; used for one history after the other.

    To open an index takes longer than a history, so only a process that has died opens it anew.
    """

    has_one_taker = False
    """Whether only one process at a time takes what is dropped."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.clock = Clock()
        self.now = 0.0
        self.replace = False
        self.processes = [Process(folder), Process(folder)]
        self.services = [self._watched(process) for process in self.processes]
        self.admin = self._watched(Process())
        self.spare = Index(f"sqlite:///{folder / 'spare.sqlite'}", 0)
        make_quick(self.spare)
        self.spare.migrate()

    def begin(self, replace: bool) -> None:
        """Make everything empty."""
        self.replace = replace
        self.clock.begin()
        self.tick()
        self.empty_files()
        self.lose_index()
        self.services = [with_policy(services, replace) for services in self.services]
        self.admin = with_policy(self.admin, replace)

    def tick(self) -> None:
        """Begin something new."""
        self.now = self.clock.tick()

    def reopen(self, number: int) -> None:
        """Put another process in the place of one that has died."""
        self.services[number].close()
        self.processes[number] = Process(self.folder)
        self.services[number] = self._watched(self.processes[number])

    def lose_index(self) -> None:
        """Take everything out of the index."""
        empty_tables(self.admin.index)

    def empty_index(self) -> Index:
        """Another index, empty."""
        empty_tables(self.spare)
        return self.spare

    def rows(self) -> dict[Target, Row]:
        """Every instance of the index."""
        return rows_by_target(self.admin.index)

    def close(self) -> None:
        """Close everything."""
        for services in (*self.services, self.admin):
            services.close()
        self.spare.close()

    def _watched(self, process: Process) -> Services:
        """Storage and index as a process opens them."""
        services = self.open()
        watch_ports(services, process, self.clock)
        return services

    @abstractmethod
    def open(self) -> Services:
        """Storage and index."""

    @abstractmethod
    def empty_files(self) -> None:
        """Remove all files."""

    @abstractmethod
    def drop(self, name: str, data: bytes) -> None:
        """Put a whole file into the drop folder at once, over what is there."""

    def dropped_name(self, name: str) -> str:
        """The name under which a file was dropped that lies there under this name now."""
        return name

    @abstractmethod
    def put_by_hand(self, key: str, data: bytes) -> None:
        """Put a file below instances/ without the index."""

    @abstractmethod
    def files(self, prefix: str) -> dict[str, bytes]:
        """What lies below a folder, by its whole key."""


def rows_by_target(index: Index) -> dict[Target, Row]:
    """Every instance of an index."""
    uids = (studies.c.study_instance_uid, series.c.series_instance_uid)
    wanted = select(*uids, instances.c.sop_instance_uid, instances.c.storage_key)
    wanted = wanted.add_columns(instances.c.size, instances.c.sha256)
    everything = wanted.select_from(instances.join(series).join(studies))
    with database_of(index).connect() as connection:
        found = connection.execute(everything).all()
    return {Target(*row[:3]): Row(*row[3:]) for row in found}


def with_policy(services: Services, replace: bool) -> Services:
    """The same services, with this setting."""
    return dataclasses.replace(
        services, settings=dataclasses.replace(services.settings, replace=replace)
    )


class Folder(World):
    """A folder and SQLite."""

    has_one_taker = True

    def __init__(self, folder: Path) -> None:
        watch_the_file_system()
        super().__init__(folder)
        self.admin.index.migrate()

    def open(self) -> Services:
        settings = Settings(data=self.folder, replace=self.replace, stable_age=0)
        services = open_services(settings, LIMITS)
        make_quick(services.index)
        return services

    def empty_files(self) -> None:
        for name in ("instances", "incoming", "rejected"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def drop(self, name: str, data: bytes) -> None:
        incoming = self.folder / "incoming"
        incoming.mkdir(exist_ok=True)
        # Two people may drop files of one name at once.
        beside = incoming / f".{name}-{threading.get_ident()}"
        beside.write_bytes(data)
        beside.replace(incoming / name)

    def dropped_name(self, name: str) -> str:
        return dropped_name(name)

    def put_by_hand(self, key: str, data: bytes) -> None:
        self.clock.wrote(key)
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def files(self, prefix: str) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted((self.folder / prefix).rglob("*"))
            if path.is_file()
        }


def make_quick(index: Index) -> None:
    """Do without the disk: what dies here is processes, not machines."""

    def prepare(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(database_of(index).engine, "connect", prepare)


class Bucket(World):
    """A bucket and MariaDB."""

    def __init__(self, folder: Path, s3: Mapping[str, str], mariadb: MariaDB) -> None:
        self._s3 = dict(s3)
        self._client = s3_client(self._s3)
        self._url = mariadb.new_database()
        self._bucket = self._new_bucket()
        self._storage = S3Storage(self._bucket, PREFIX)
        super().__init__(folder)
        self.admin.index.migrate()

    def open(self) -> Services:
        place: Any = {"storage": f"s3://{self._bucket}/{PREFIX}", "index": self._url}
        storage = copy(self._storage)
        storage.bucket = self._bucket
        settings = Settings(data=self.folder, replace=self.replace, stable_age=0, **place)
        return Services(settings, storage, Index(self._url, 0, limits=LIMITS), LIMITS)

    def empty_files(self) -> None:
        self._bucket = self._new_bucket()
        for services in (*self.services, self.admin):
            storage: Any = services.storage
            storage.bucket = self._bucket

    def drop(self, name: str, data: bytes) -> None:
        self._put(f"incoming/{name}", data)

    def put_by_hand(self, key: str, data: bytes) -> None:
        self.clock.wrote(key)
        self._put(key, data)

    def files(self, prefix: str) -> dict[str, bytes]:
        return dict(self._read(prefix))

    def _read(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        name = f"{PREFIX}/{prefix}/"
        listed = self._client.list_objects_v2(Bucket=self._bucket, Prefix=name)
        for item in listed.get("Contents", []):
            found = self._client.get_object(Bucket=self._bucket, Key=item["Key"])
            yield item["Key"].removeprefix(f"{PREFIX}/"), found["Body"].read()

    def _put(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=f"{PREFIX}/{key}", Body=data)

    def _new_bucket(self) -> str:
        name = f"test-{secrets.token_hex(8)}"
        make_bucket(self._s3, name)
        return name
