"""A table of the outcomes of several services: `python -m tests.conformance.compare A.json B.json`.

Each file was written by `--report`; its name without the ending heads the column.
"""

import json
import re
import sys
from pathlib import Path

SIGNS = {"passed": "yes", "failed": "**no**", "skipped": "not supported", "error": "**no**"}


def sentence(test: str) -> tuple[str, str]:
    """Section and requirement, as the name of a test has them."""
    name = test.partition("::test_")[2]
    found = re.match(r"(?:(fetch)|(\d+(?:_\d+)*))_(.*)", name, re.S)
    if found is None:
        raise ValueError(f"{test} names no section")
    section = "Fetch" if found[1] else found[2].replace("_", ".")
    text, bracket, case = found[3].partition("[")
    return section, text.replace("_", " ") + (f" `{case.removesuffix(']')}`" if bracket else "")


def order(test: str) -> tuple[list[int], str]:
    """By section, as numbers."""
    section, text = sentence(test)
    return [int(part) for part in section.split(".") if part.isdigit()], text


def table(files: list[Path]) -> str:
    """The Markdown table of all tests, and how many each service passed."""
    columns = {file.stem: json.loads(file.read_text()) for file in files}
    tests = sorted({test for outcomes in columns.values() for test in outcomes}, key=order)
    lines = [
        f"| PS3.18 | requirement | {' | '.join(columns)} |",
        f"|---|---|{'---|' * len(columns)}",
    ]
    for test in tests:
        section, text = sentence(test)
        signs = (SIGNS[outcomes.get(test, "skipped")] for outcomes in columns.values())
        lines.append(f"| {section} | {text.replace('|', chr(92) + '|')} | {' | '.join(signs)} |")
    met = (list(outcomes.values()).count("passed") for outcomes in columns.values())
    lines.append(f"| | **met of {len(tests)}** | {' | '.join(f'**{count}**' for count in met)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table([Path(name) for name in sys.argv[1:]]))
