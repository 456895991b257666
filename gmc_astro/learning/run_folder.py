"""The folder of a training run: its state, whole at every moment, and its log."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gmc_astro._files import make_folder, whole, write_text
from gmc_astro.exceptions import InputError
from gmc_astro.learning.settings import PretrainSettings

__all__ = ["LOG_FILE", "STATE_FILE", "RunFolder"]

STATE_FILE = "training_state.pt"
LOG_FILE = "training_log.jsonl"


class RunFolder:
    """Keeps a run so that it can go on after any interruption.

    Parameters
    ----------
    folder : path-like
        Made where it is missing.
    settings : `PretrainSettings`
        What the run's state belongs to.
    header : dict
        What else the first line of the log says.
    inputs : dict of str to str, optional
        Hashes of what the run learns from, by name; its state belongs to them as well.
    tensorboard : bool, optional
        Write the log for TensorBoard as well.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If TensorBoard is asked for and not installed.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        settings: PretrainSettings,
        header: dict[str, Any],
        *,
        inputs: dict[str, str] | None = None,
        tensorboard: bool = False,
    ) -> None:
        self.folder = make_folder(Path(folder))
        self.settings = json.loads(json.dumps(asdict(settings)))
        self.inputs = inputs or {}
        self.header = {"settings": self.settings, **header}
        self._board = _tensorboard(self.folder) if tensorboard else None

    def save(self, state: dict[str, Any], log: list[dict[str, Any]]) -> None:
        """Write the state, then the log, each whole or not at all.

        Parameters
        ----------
        state : dict
            Of tensors and plain values.
        log : list of dict
            All entries so far.
        """
        state = {"settings": self.settings, "inputs": self.inputs, "log": log, **state}
        with whole(self.folder / STATE_FILE) as path:
            torch.save(state, path)
        lines = [json.dumps(line) + "\n" for line in [self.header, *log]]
        write_text(self.folder / LOG_FILE, "".join(lines))

    def restore(self) -> dict[str, Any] | None:
        """Load the state.

        Returns
        -------
        state : dict or None
            None where there is none yet.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If it belongs to a run with other settings or inputs; the message names them.
        """
        path = self.folder / STATE_FILE
        if not path.is_file():
            return None
        state = torch.load(path, map_location="cpu", weights_only=True)
        for kind, own in (("settings", self.settings), ("inputs", self.inputs)):
            known = state.get(kind, own)
            differing = sorted(key for key in own if known.get(key) != own[key])
            if differing:
                raise InputError(
                    f"{self.folder} holds a run with other {kind} ({', '.join(differing)}); "
                    "give another folder, or resume=False to start anew"
                )
        return state

    def show(self, entry: dict[str, Any], step: int) -> None:
        """Give an entry's numbers to TensorBoard, where that was asked for.

        Parameters
        ----------
        entry : dict
            Named numbers.
        step : int
            Steps taken.
        """
        if self._board is not None:
            for name, value in entry.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Let TensorBoard's file be whole."""
        if self._board is not None:
            self._board.close()


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as err:
        raise InputError(
            "tensorboard=True needs the package tensorboard, which is not installed: "
            "pip install 'gmc_astro[tensorboard]'"
        ) from err
    return SummaryWriter(str(folder))
