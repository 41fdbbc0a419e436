"""The checks of a verification, in their order."""

from collections.abc import Callable

from lenticular.cli.verify import access, aws, transactions
from lenticular.cli.verify.run import Verification

CHECKS: tuple[tuple[str, Callable[[Verification], str]], ...] = (
    ("health", transactions.health),
    ("sign in", access.sign_in),
    ("forged", access.forged),
    ("anonymous", access.anonymous),
    ("stages", access.stages),
    ("cors", access.cors),
    ("store", transactions.store),
    ("search", transactions.search),
    ("retrieve", transactions.retrieve),
    ("rendered", transactions.rendered),
    ("large answer", transactions.large_answer),
    ("upload in parts", transactions.upload_in_parts),
    ("drop folder", aws.drop_folder),
    ("delete", transactions.delete),
    ("alarms", aws.alarms),
)
