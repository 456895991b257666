"""Check the links of the documentation with Sphinx's linkcheck, also where there is no network.

Exit code 1 where a link is broken: it leads nowhere, an address answers with an error, or its
host cannot be reached although others can. Where no host at all can be reached there is no
network: then only links within the documentation are checked, and a sentence says so.

Usage: ``python docs/check_links.py [SOURCE [OUTPUT]]``
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from sphinx.cmd.build import build_main

HERE = Path(__file__).parent
SETTINGS = {
    "linkcheck_timeout": 20,  # seconds
    "linkcheck_retries": 2,
    "linkcheck_workers": 4,
    "linkcheck_report_timeouts_as_broken": 0,  # told apart, as "timeout"
}
#: What the client says of an address from which nothing came back.
NO_ANSWER = ("Max retries exceeded", "Connection aborted", "Failed to establish", "ProxyError")


def has_no_answer(link: Mapping[str, str]) -> bool:
    """Whether the host of an address said nothing."""
    return link["status"] == "timeout" or any(words in link["info"] for words in NO_ANSWER)


def broken_links(links: Iterable[Mapping[str, str]]) -> tuple[list[str], int]:
    """Sentences of what is broken, and how many links could not be asked for want of network."""
    asked = [link for link in links if link["status"] not in ("ignored", "unchecked", "local")]
    bad = [link for link in asked if link["status"] in ("broken", "timeout")]
    silent = [link for link in bad if has_no_answer(link)]
    offline = len([link for link in asked if link["uri"].startswith("http")]) == len(silent)
    told = [link for link in bad if not (offline and link in silent)]
    sentences = [f"{x['filename']}:{x['lineno']}: {x['uri']}: {x['info']}" for x in told]
    return sentences, len(silent) if offline else 0


def main(source: str = str(HERE), output: str = str(HERE / "_build" / "linkcheck")) -> int:
    """Run linkcheck and judge what it found."""
    settings = [part for key, value in SETTINGS.items() for part in ("-D", f"{key}={value}")]
    found = Path(output) / "output.json"
    found.unlink(missing_ok=True)
    code = build_main(["-q", "-b", "linkcheck", *settings, source, output])
    if not found.is_file():  # the pages themselves could not be read
        return code or 1
    broken, unasked = broken_links(map(json.loads, found.read_text().splitlines()))
    if unasked:
        print(f"no network: {unasked} links to other hosts were not checked")
    print(*broken, sep="\n", end="\n" if broken else "")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
