"""Computes what a month on AWS costs: the table of docs/operations.md, from prices and counts.

    python -m bench.cost [--studies 1000] [--images 300] [--megabytes 0.5]

Tests compare the table with the document, and the requests to S3 with what the functions make.
"""

import argparse
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PRICES = tomllib.loads((HERE / "prices.toml").read_text("utf-8"))
TEMPLATE = (HERE.parent / "template.yaml").read_text("utf-8")

DAYS = 30
INSTANCES_A_STORE = 8
S3_PUTS_AN_INSTANCE = 1
S3_GETS_A_FRAME = 1
STORE_SECONDS, READ_SECONDS, SETTLE_SECONDS = 0.5, 0.05, 0.05
FUNCTION_GB = 1.73
SETTLE_CALLS = DAYS * 24 * 60 * 2
"""A call every 30 seconds, the window in which messages are collected."""
POLLS_A_QUEUE = DAYS * 24 * 3600 // 20 * 5
"""Lambda polls a queue with five connections of 20 seconds each, also while it is empty."""
QUEUES = 3
OWN_METRICS = 21
METHODS, METRICS_A_METHOD = 2, 5
"""GET and POST of {proxy+}; count, latency, integration latency, 4XX and 5XX of each."""
INDEX_KILOBYTES, INDEX_IO = 10, 7.2
"""For each instance."""
LOG_KILOBYTES, TRACED = 1.2, 0.05
"""For each request."""


@dataclass(frozen=True)
class Workload:
    """The studies of a day; each is stored once and opened once."""

    studies: int = 1000
    images: int = 300
    megabytes: float = 0.5

    @property
    def opened(self) -> int:
        """The studies of a month."""
        return self.studies * DAYS

    @property
    def instances(self) -> int:
        """The instances of a month."""
        return self.opened * self.images

    @property
    def stores(self) -> float:
        """Requests that store."""
        return self.instances / INSTANCES_A_STORE

    @property
    def reads(self) -> int:
        """Requests that read: one search, one metadata, and each frame."""
        return self.opened * (2 + self.images)

    @property
    def gigabytes(self) -> float:
        """The files of a month."""
        return self.instances * self.megabytes / 1000


def rows(load: Workload) -> list[tuple[str, str, float]]:
    """Return the lines of the table: name, arithmetic, dollars."""
    return [*_requests(load), *_kept(load), *_watching(load)]


def total(load: Workload) -> float:
    """Return the sum of the table."""
    return sum(dollars for _, _, dollars in rows(load))


def table(load: Workload) -> str:
    """Return the table in Markdown."""
    lines = [f"| {name} | {how} | {dollars:,.2f} |" for name, how, dollars in rows(load)]
    lines.append(f"| | | **{total(load):,.2f}** |")
    leaving = load.gigabytes * PRICES["internet_gb"]
    lines.append(
        f"| data to the internet | {load.gigabytes:,.0f} GB × {_price('internet_gb')};"
        f" less by Direct Connect, nothing within the region | {leaving:,.2f} |"
    )
    return "\n".join(["| | arithmetic | $ a month |", "|---|---|---:|", *lines])


def _requests(load: Workload) -> list[tuple[str, str, float]]:
    puts, gets = load.instances * S3_PUTS_AN_INSTANCE, load.reads * S3_GETS_A_FRAME
    messages = load.instances * 1.2
    settle = messages * PRICES["sqs_request"] + _calls(SETTLE_CALLS, SETTLE_SECONDS)
    return [
        _api("**storing** API Gateway", load.stores),
        _lambda(load.stores, STORE_SECONDS),
        ("S3 PUT", f"{_million(puts)} × {_price('s3_put', 1000)} / 1,000", puts * PRICES["s3_put"]),
        (
            "S3 → SQS → settle",
            f"({_million(load.instances)} sent, a tenth as many received and as many deleted)"
            f" × {_price('sqs_request', 1e6)} / M, and {_million(SETTLE_CALLS)} calls of Lambda",
            settle,
        ),
        _api("**reading** API Gateway", load.reads),
        _lambda(load.reads, READ_SECONDS),
        ("S3 GET", f"{_million(gets)} × {_price('s3_get', 1000)} / 1,000", gets * PRICES["s3_get"]),
    ]


def _kept(load: Workload) -> list[tuple[str, str, float]]:
    gigabytes, io = load.instances * INDEX_KILOBYTES / 1e6, load.instances * INDEX_IO
    hours = DAYS * (12 * 2 + 12 * 0.5)
    capacity = hours * PRICES["aurora_acu_hour"]
    return [
        (
            "**index** capacity",
            f"30 days × (12 h × 2 ACU + 12 h × 0.5 ACU) × {_price('aurora_acu_hour')}",
            capacity,
        ),
        (
            "its storage",
            f"{_million(load.instances)} × 10 kB = {gigabytes:,.0f} GB"
            f" × {_price('aurora_gb_month')}",
            gigabytes * PRICES["aurora_gb_month"],
        ),
        (
            "its I/O",
            f"about {_million(io)} × {_price('aurora_io', 1e6)} / M",
            io * PRICES["aurora_io"],
        ),
        (
            "**files**",
            f"{load.gigabytes:,.0f} GB × {_price('s3_gb_month')}",
            load.gigabytes * PRICES["s3_gb_month"],
        ),
    ]


def _watching(load: Workload) -> list[tuple[str, str, float]]:
    requests = load.stores + load.reads
    gigabytes, traces = requests * LOG_KILOBYTES / 1e6, requests * TRACED
    alarms = len(re.findall("Type: AWS::CloudWatch::Alarm", TEMPLATE))
    detailed, polls = METHODS * METRICS_A_METHOD, QUEUES * POLLS_A_QUEUE
    watching = gigabytes * PRICES["log_gb"] + OWN_METRICS * PRICES["metric_month"]
    watching += alarms * PRICES["alarm_month"] + traces * PRICES["trace"]
    return [
        (
            "**watching** logs, metrics, alarms, traces",
            f"{gigabytes:,.0f} GB × {_price('log_gb')} + {OWN_METRICS} × {_price('metric_month')}"
            f" + {alarms} × {_price('alarm_month')}"
            f" + {_million(traces)} × {_price('trace', 1e6)} / M",
            watching,
        ),
        (
            "API Gateway's detailed metrics",
            f"{METHODS} methods × {METRICS_A_METHOD} × {_price('metric_month')}",
            detailed * PRICES["metric_month"],
        ),
        (
            "idle polling of queues",
            f"{QUEUES} queues × {_million(POLLS_A_QUEUE)} × {_price('sqs_request', 1e6)} / M",
            polls * PRICES["sqs_request"],
        ),
    ]


def _api(name: str, requests: float) -> tuple[str, str, float]:
    return (
        name,
        f"{_million(requests)} × {_price('api_request', 1e6)} / M",
        requests * PRICES["api_request"],
    )


def _lambda(calls: float, seconds: float) -> tuple[str, str, float]:
    how = (
        f"{_million(calls)} × ({_price('lambda_request', 1e6)} / M + {seconds} s × {FUNCTION_GB} GB"
    )
    how += f" × ${PRICES['lambda_gb_second']:.10f})"
    return "Lambda", how, _calls(calls, seconds)


def _calls(calls: float, seconds: float) -> float:
    each: float = PRICES["lambda_request"] + seconds * FUNCTION_GB * PRICES["lambda_gb_second"]
    return calls * each


def _price(name: str, count: float = 1) -> str:
    """Return the price of so many, with cents at least."""
    text = f"{PRICES[name] * count:.4f}".rstrip("0")
    return f"${text if len(text.partition('.')[2]) > 1 else text.ljust(text.index('.') + 3, '0')}"


def _million(count: float) -> str:
    return f"{count / 1e6:.4g} M"


def main() -> None:
    """Print the table of a workload."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost")
    parser.add_argument("--studies", type=int, default=1000, help="studies a day")
    parser.add_argument("--images", type=int, default=300, help="images of a study")
    parser.add_argument("--megabytes", type=float, default=0.5, help="size of an image")
    load = Workload(**vars(parser.parse_args()))
    print(f"{PRICES['region']}, {PRICES['date']} ({PRICES['source']})\n\n{table(load)}\n")
    print(f"{100 * total(load) / max(load.opened, 1):.2f} cents a study")


if __name__ == "__main__":
    main()
