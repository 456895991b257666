"""Files that appear whole or not at all, and sentences for a disk that will not take them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gmc_astro.exceptions import GmcAstroError, OutputError

__all__ = [
    "make_folder",
    "read_json",
    "sha256_of",
    "whole",
    "write_json",
    "write_text",
    "writing",
]

_ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "give a folder on a disk that can be written",
    errno.EACCES: "give a folder that you may write to",
    errno.EPERM: "give a folder that you may write to",
    errno.EEXIST: "give another folder: a part of this path is a file",
    errno.ENOTDIR: "give another folder: a part of this path is a file",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into a sentence; our own errors are sentences already.

    Parameters
    ----------
    path : `~pathlib.Path`
        What is written.

    Raises
    ------
    gmc_astro.exceptions.OutputError
        Instead of the system's own error.
    """
    try:
        yield
    except GmcAstroError:
        raise
    except OSError as err:
        told = str(err).splitlines() or [type(err).__name__]
        reason = os.strerror(err.errno) if err.errno else told[0]
        advice = _ADVICE.get(err.errno, "mend that")
        told = OutputError(
            f"{path} cannot be written: {reason}. What was finished before is safe: {advice} and "
            "run the same again"
        )
        told.errno = err.errno
        raise told from err


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to, which then takes the place of ``path`` at once.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file to be.

    Yields
    ------
    temporary : `~pathlib.Path`
        A name beside it, with the same suffix.
    """
    mark = f"{socket.gethostname()}.{os.getpid()}"
    temporary = path.with_name(f".{path.stem}.{mark}{path.suffix}")
    with writing(path):
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Make a folder, with those above it.

    Parameters
    ----------
    path : `~pathlib.Path`
        The folder.

    Returns
    -------
    path : `~pathlib.Path`
        The same.

    Raises
    ------
    gmc_astro.exceptions.OutputError
        If it cannot be made.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    text : str
        What it shall hold.
    """
    with whole(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path, document: Any) -> None:
    """Write plain values, whole or not at all.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    document : dict
        What JSON can hold.
    """
    write_text(path, json.dumps(document, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """Read plain values.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.

    Returns
    -------
    document : dict or None
        None where there is no such file, or it is no JSON.
    """
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file or folder.

    Returns
    -------
    digest : str
        64 hexadecimal digits.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = [f"{file.relative_to(path)} {sha256_of(file)}\n" for file in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
