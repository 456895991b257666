"""Asking a server politely: bounded connections, pauses that it asks for, and another try."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TypeVar

import requests

from gmc_astro._version import __version__
from gmc_astro.exceptions import SurveyError
from gmc_astro.surveys.body import plain_text
from gmc_astro.surveys.conf import conf

__all__ = ["Host", "ask", "gave_up", "host_of", "new_session"]

T = TypeVar("T")

_GAVE_UP = re.compile(r" after \d+ (?:tries|try)\b")
TRANSIENT = (429, 500, 502, 503, 504)


class Host:
    """One server: who is talking to it, and when it wants to be left alone."""

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._active = 0
        self._not_before = 0.0

    @contextmanager
    def connection(self, most: int) -> Iterator[None]:
        """Wait for a free connection out of ``most``, and for the end of a pause."""
        with self._state:
            while True:
                pause = self._not_before - time.monotonic()
                if self._active < most and pause <= 0:
                    break
                self._state.wait(pause if pause > 0 else None)
            self._active += 1
        try:
            yield
        finally:
            with self._state:
                self._active -= 1
                self._state.notify_all()

    def leave_alone(self, seconds: float) -> None:
        """Let nobody ask for so long."""
        with self._state:
            self._not_before = max(self._not_before, time.monotonic() + seconds)


_HOSTS: dict[str, Host] = {}
_HOSTS_LOCK = threading.Lock()


def host_of(url: str) -> Host:
    """The `Host` of an address, the same for everybody in this process."""
    name = requests.utils.urlparse(url).netloc
    with _HOSTS_LOCK:
        return _HOSTS.setdefault(name, Host())


def new_session(connections: int) -> requests.Session:
    """A session that keeps as many connections open as are used at once."""
    session = requests.Session()
    session.headers["User-Agent"] = f"gmc_astro/{__version__} ({session.headers['User-Agent']})"
    adapter = requests.adapters.HTTPAdapter(pool_connections=2, pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def ask(
    send: Callable[[], requests.Response],
    read: Callable[[bytes], T],
    *,
    host: Host,
    connections: int,
    diagnose: Callable[[requests.Response], str] = lambda response: "",
) -> T:
    """Send a request until it is answered, or say why it was not.

    Lost connections, time-outs, bodies that are not an image, and the statuses 429, 500, 502,
    503 and 504 are worth another try; other refusals and empty sky are not.

    Parameters
    ----------
    send : callable
        Sends the request.
    read : callable
        Turns a body into what was asked for, or raises `SurveyError`.
    host : `Host`
        The server.
    connections : int
        Connections that may be open to it at once.
    diagnose : callable, optional
        Looks at an answer with an error status: a final reason, or nothing.

    Returns
    -------
    answer
        What ``read`` made of the body.

    Raises
    ------
    gmc_astro.exceptions.SurveyError
        With the reason, and the number of tries.
    """
    reason, tries = "", max(int(conf.tries), 1)
    for attempt in range(tries):
        if attempt:
            time.sleep(conf.pause * 2 ** (attempt - 1))
        try:
            with host.connection(connections):
                response = send()
                final = diagnose(response) if response.status_code != 200 else ""
            if response.status_code != 200:
                if final:
                    raise SurveyError(final)
                if response.status_code not in TRANSIENT:
                    raise SurveyError(f"refused ({response.status_code}): {_message(response)}")
                reason = f"server error ({response.status_code})"
                host.leave_alone(min(_retry_after(response), conf.longest_pause))
                continue
        except requests.Timeout:
            reason = "timed out"
            continue
        except requests.RequestException as err:
            reason = f"connection lost ({type(err).__name__})"
            continue
        try:
            return read(response.content)
        except SurveyError as err:
            if not str(err).startswith("not an image") or "no such layer" in str(err):
                raise
            reason = str(err)
    raise SurveyError(f"{reason} after {tries} {'tries' if tries > 1 else 'try'}")


def gave_up(status: str) -> bool:
    """Tell a failure that another try may mend from one that stays.

    Parameters
    ----------
    status : str
        Status of a row.

    Returns
    -------
    gave_up : bool
        True where a server did not answer, after as many tries as are made.
    """
    return _GAVE_UP.search(status) is not None


def _message(response: requests.Response) -> str:
    """What an error body says."""
    try:
        content = response.json()
        return ": ".join(str(content[key]) for key in ("title", "description") if key in content)
    except (ValueError, TypeError):
        return plain_text(response.content)


def _retry_after(response: requests.Response) -> float:
    """Seconds that the server asks to be left alone, 0 if it does not."""
    value = response.headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return 0.0
