"""Delete: a study, a series or an instance goes from the index, then its files go.

In this order a crash leaves at most files that no row names, which maintenance sweeps away.
"""

import logging

from lenticular.dicom.instance import Target
from lenticular.errors import NotFound
from lenticular.index.records import Removed
from lenticular.services import Services

log = logging.getLogger(__name__)


def delete(services: Services, *targets: Target) -> Removed:
    """Delete what the targets name, all or nothing; NotFound when there is nothing."""
    removed = services.index.remove(*targets)
    if removed is None:
        raise NotFound("There is no such study, series or instance.")
    for key in removed.keys:
        try:
            services.storage.delete(key)
        except OSError:
            # It is deleted for everybody who asks; the file is left to be swept away.
            log.exception("a deleted file could not be removed")
    return removed
