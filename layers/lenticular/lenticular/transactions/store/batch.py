"""Group received instances, so that one durable transaction stores several of them."""

from typing import Generic, TypeVar

from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.store.store import StoreResult, store

Label = TypeVar("Label")

# So that memory and open files stay few.
BATCH_INSTANCES = 64
BATCH_BYTES = 32 * 1024 * 1024


class Batch(Generic[Label]):
    """Received instances that wait to be stored together, each with a label of the caller."""

    def __init__(self, services: Services, study_instance_uid: str | None = None) -> None:
        self._services = services
        self._study_instance_uid = study_instance_uid
        self._spools: list[Spool] = []
        self._labels: list[Label] = []

    def add(self, spool: Spool, label: Label) -> None:
        """Add an instance; the batch closes its spool."""
        self._spools.append(spool)
        self._labels.append(label)

    @property
    def is_full(self) -> bool:
        """True if the batch should be stored before another instance is added."""
        size = sum(spool.size for spool in self._spools)
        return len(self._spools) >= BATCH_INSTANCES or size >= BATCH_BYTES

    def store(self) -> list[tuple[Label, StoreResult]]:
        """Store the instances and empty the batch; return the label and result of each."""
        try:
            results = store(self._services, self._spools, self._study_instance_uid)
            return list(zip(self._labels, results, strict=True))
        finally:
            self.close()

    def close(self) -> None:
        """Close the spools and empty the batch."""
        for spool in self._spools:
            spool.close()
        self._spools, self._labels = [], []
