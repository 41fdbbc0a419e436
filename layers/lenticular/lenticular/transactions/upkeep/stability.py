"""Mark resources as stable that got no new instance for a minute, as Orthanc does.

Changes `StableSeries`, `StableStudy` and `StablePatient` in the feed, once for each time of quiet,
however many processes mark at once. Deleting neither starts nor ends such a time.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from lenticular.dicom.model import Level
from lenticular.services import Services
from lenticular.transactions.upkeep.sweep_and_reindex import never

log = logging.getLogger(__name__)

STUDIES_AT_ONCE = 20
"""Resources in one transaction, so that no store waits for long."""


@dataclass(frozen=True, slots=True)
class MarkedStable:
    """Counts of what was marked as stable; `complete` if that was all."""

    patients: int
    studies: int
    series: int
    complete: bool


def mark_stable(
    services: Services,
    looking_back: float | None = None,
    should_stop: Callable[[], bool] = never,
) -> MarkedStable:
    """Mark all resources that are stable.

    With `looking_back` only those that became so in that many seconds, which is quicker.
    """
    until = int((time.time() - services.settings.stable_age) * 1000)
    since = 0 if looking_back is None else until - int(looking_back * 1000)
    told: Counter[Level] = Counter()
    complete = False
    while not complete and not should_stop():
        due = services.index.stability.pending(since, until, STUDIES_AT_ONCE)
        told += services.index.stability.mark(due, until)
        complete = not due
    if told:
        log.info("settled", extra={"counts": {"settled": told[Level.STUDY]}})
    return MarkedStable(told[Level.PATIENT], told[Level.STUDY], told[Level.SERIES], complete)
