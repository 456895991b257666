"""Who works on what: processes on any machines share one folder and do nothing twice.

A claim is a small file that only one process can create. It names the process, whose sign of life
is the file's date. A claim of a process that is dead, or was silent for too long, is passed over:
the next one to come makes the next generation of it, which again only one can. Nothing is ever
taken away from anybody, so there is no moment in which two believe that they have it. Should a
process be declared dead and live on, a range is computed twice, to the same result.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from types import TracebackType

from gmc_astro._files import make_folder, read_json, writing

__all__ = ["BEAT", "STALE", "Claims"]

BEAT = 10.0  # seconds between signs of life
STALE = 120.0  # seconds of silence after which a process of another machine counts as dead


class Claims:
    """The claims of this process in a folder; a context in which it gives signs of life.

    Parameters
    ----------
    folder : path-like
        Folder of the claims, on a disk that all processes see.
    stale : float, optional
        Seconds of silence after which a process of another machine counts as dead. Of this
        machine, the system is asked whether it lives.
    """

    def __init__(self, folder: Path, *, stale: float = STALE) -> None:
        self.folder = Path(folder)
        self.stale = stale
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._clock = self.folder / f".clock.{socket.gethostname()}.{os.getpid()}.{id(self):x}"
        self._thread = threading.Thread(target=self._live, name="claims", daemon=True)

    def __enter__(self) -> Claims:
        make_folder(self.folder)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        for name in list(self._held):
            self.release(name)
        self._clock.unlink(missing_ok=True)

    def take(self, name: str) -> bool:
        """Claim something, unless a living process has it.

        Parameters
        ----------
        name : str
            What; a part of a file name.

        Returns
        -------
        mine : bool
            True if it is this process's now.
        """
        with self._lock:
            make_folder(self.folder)  # another process may have tidied up
            newest = max(self._generations(name), default=-1)
            if newest >= 0 and self._lives(self._file(name, newest)):
                return False
            path = self._file(name, newest + 1)
            with writing(path):
                try:
                    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                except FileExistsError:
                    return False  # another process was faster
                self._held[name] = newest + 1  # at once: whatever comes now, it is given up
                with os.fdopen(descriptor, "w") as handle:
                    json.dump({"host": socket.gethostname(), **_process(os.getpid())}, handle)
            return True

    def release(self, name: str) -> None:
        """Give up a claim, because it is done or will not be.

        Parameters
        ----------
        name : str
            What.
        """
        with self._lock:
            own = self._held.pop(name, -1)
            for generation in sorted(self._generations(name)):
                if generation <= own:
                    self._file(name, generation).unlink(missing_ok=True)

    def others(self, start: str) -> bool:
        """Tell whether living processes have claims of a kind, other than those of this one.

        Parameters
        ----------
        start : str
            How the names of their claims start.

        Returns
        -------
        others : bool
            False where they have none.
        """
        with self._lock:
            names = {found.rpartition(".")[0] for found in os.listdir(self.folder)}
            wanted = [n for n in names if n.startswith(start) and n not in self._held]
            newest = {name: max(self._generations(name), default=-1) for name in wanted}
            return any(n >= 0 and self._lives(self._file(name, n)) for name, n in newest.items())

    def _file(self, name: str, generation: int) -> Path:
        return self.folder / f"{name}.{generation}"

    def _generations(self, name: str) -> list[int]:
        names = (found.rpartition(".") for found in os.listdir(self.folder))
        return [int(number) for stem, _, number in names if stem == name and number.isdigit()]

    def _lives(self, path: Path) -> bool:
        """Tell whether the process that made a claim is still there."""
        owner = read_json(path) or {}
        try:
            silent = self._now() - path.stat().st_mtime
        except FileNotFoundError:
            return False  # released this moment
        if owner.get("host") == socket.gethostname():
            started = _process(owner["pid"])["started"]
            if started != "":
                return started == owner["started"]
        return silent < self.stale

    def _now(self) -> float:
        """Time by the clock of the disk, which is not always that of this machine."""
        self._clock.touch()
        return self._clock.stat().st_mtime

    def _live(self) -> None:
        while not self._ended.wait(BEAT):
            with self._lock:
                for name, generation in self._held.items():
                    try:
                        os.utime(self._file(name, generation))
                    except OSError:  # the disk is away for a moment: the next beat may succeed
                        continue


def _process(pid: int) -> dict[str, object]:
    """Process by number and start, because numbers are given anew.

    The start is None where there is no such process, and empty where that cannot be told.
    """
    if os.name != "posix":
        return {"pid": pid, "started": ""}
    if not os.path.exists("/proc/self/stat"):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return {"pid": pid, "started": None}
        except PermissionError:
            pass  # somebody else's
        return {"pid": pid, "started": ""}
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return {"pid": pid, "started": None}
    dead = state[0] == "Z"  # and its parent has not looked yet
    return {"pid": pid, "started": None if dead else f"{boot} {state[19]}"}
