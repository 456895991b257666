"""Contrastive pretraining: images and captions in, a better encoder out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import RECIPES as COLOURS
from gmc_astro.imaging import ImageSource
from gmc_astro.learning.captions import Captions
from gmc_astro.learning.distributed import World, current_world
from gmc_astro.learning.leakage import find_leaks
from gmc_astro.learning.predictions import document_hash
from gmc_astro.learning.run_folder import RunFolder
from gmc_astro.learning.settings import RECIPES, PretrainSettings
from gmc_astro.learning.shuffling import Shuffler
from gmc_astro.learning.training_step import Trainer
from gmc_astro.learning.vote_head import VoteHead
from gmc_astro.models import Checkpoint, Encoder

__all__ = ["Pretrained", "pretrain"]

Validation = Callable[[Encoder], dict[str, float]]


@dataclass(frozen=True)
class Pretrained:
    """What a pretraining gives besides the weights.

    Parameters
    ----------
    log : list of dict
        One entry an epoch: ``epoch``, ``loss``, ``images_per_second`` and what ``validation`` gave.
    votes : `~gmc_astro.learning.VoteHead` or None
        Head that predicts votes; None where no votes were counted.
    excluded : `~numpy.ndarray` of str
        Ids of the rows that ``exclude`` took out.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import Pretrained
    >>> from gmc_astro.models import load_encoder
    >>> result = Pretrained([{"epoch": 1, "loss": 2.1}], votes=None, excluded=np.array(["7"]))
    >>> encoder = load_encoder("compact", weights="random", device="cpu")
    >>> result.as_checkpoint(encoder).encoder is encoder
    True
    """

    log: list[dict[str, Any]]
    votes: VoteHead | None
    excluded: np.ndarray

    def as_checkpoint(self, encoder: Encoder) -> Checkpoint:
        """Join the encoder with what was learnt beside it.

        Parameters
        ----------
        encoder : `~gmc_astro.models.Encoder`
            The encoder that was trained.

        Returns
        -------
        checkpoint : `~gmc_astro.models.Checkpoint`
            Both.
        """
        if self.votes is None:
            return Checkpoint(encoder)
        return Checkpoint(encoder, {"votes": self.votes.answers}, votes=self.votes.to_arrays())


def pretrain(
    encoder: Encoder,
    source: ImageSource,
    captions: Captions,
    *,
    settings: PretrainSettings | None = None,
    teachers: Sequence[Encoder] = (),
    exclude: Any = None,
    folder: str | os.PathLike | None = None,
    resume: bool = True,
    save_every: int = 500,
    tensorboard: bool = False,
    progress: bool = True,
    validation: Validation | None = None,
) -> Pretrained:
    """Train an encoder's two towers on images and their captions.

    Under ``torchrun`` (see `joined_processes`) every process calls this with the same arguments,
    and gets the weights that one process would get.

    Parameters
    ----------
    encoder : `~gmc_astro.models.Encoder`
        Trained in place.
    source : `~gmc_astro.imaging.ImageSource`
        Images; rows without one are skipped.
    captions : `~gmc_astro.learning.Captions`
        Language for each row.
    settings : `PretrainSettings`, optional
        Default is ``RECIPES["gmc"]``.
    teachers : sequence of `~gmc_astro.models.Encoder`, optional
        Larger encoders, trained before with the encoder's own text tower (see
        `~gmc_astro.models.Encoder.with_image_tower`). Besides what captions say, the image tower
        then learns their embeddings, with the weight ``settings.teacher_weight``.
    exclude : SkyCoord, Table, images or ImageSource, optional
        Galaxies to leave out, because a test will show them: see `find_leaks`.
    folder : path-like, optional
        Where the training state is kept (``training_state.pt``), and the losses and settings as
        JSON lines (``training_log.jsonl``). Default keeps nothing.
    resume : bool, optional
        Go on from the state in ``folder`` if there is one, also in the middle of an epoch.
    save_every : int, optional
        Steps after which the state is kept; it is after each epoch as well. The log gets the mean
        loss of these steps.
    tensorboard : bool, optional
        Write the log for TensorBoard into ``folder`` as well.
    progress : bool, optional
        Show a progress bar with loss, images a second and time left.
    validation : callable, optional
        Called with the encoder (averaged weights) after each epoch; returns named numbers.

    Returns
    -------
    result : `Pretrained`
        Log, vote head, and what was excluded.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If images and captions differ in number, ``folder`` holds another run, the processes
        cannot share a batch evenly, a teacher has another text tower or image size, or no image
        is left to train on.
    gmc_astro.exceptions.TrainingError
        If the training diverges; ``folder`` keeps its last state.

    References
    ----------
    Radford et al. 2021, arXiv:2103.00020 (contrastive image-text pretraining).

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import open_images
    >>> from gmc_astro.learning import PretrainSettings, as_captions, pretrain
    >>> from gmc_astro.models import load_encoder
    >>> rng = np.random.default_rng(0)
    >>> source = open_images(rng.integers(0, 255, (8, 96, 96, 3), np.uint8))
    >>> captions = as_captions(["noise", "more noise"] * 4, len(source))
    >>> encoder = load_encoder("compact", weights="random", device="cpu")
    >>> settings = PretrainSettings(epochs=1, batch_size=8)
    >>> result = pretrain(encoder, source, captions, settings=settings, progress=False)
    >>> [entry["epoch"] for entry in result.log], result.votes is None
    ([1], True)
    """
    settings, world = settings or RECIPES["gmc"], current_world()
    if len(captions) != len(source):
        raise InputError(f"{len(captions)} captions for {len(source)} images; give one a row")
    if tensorboard and folder is None:
        raise InputError("tensorboard=True needs folder=, which it writes into")
    _check_batch(settings, world)
    if save_every < 1:
        raise InputError(f"save_every={save_every} must be 1 or more")
    leaks = find_leaks(source, exclude) if exclude is not None else np.zeros(len(source), bool)
    excluded = np.asarray(source.ids)[leaks].astype(str)
    if progress and world.leads and exclude is not None:
        tqdm.write(f"{len(excluded)} of {len(source)} rows excluded: {_first(excluded)}")
    run = _Run(encoder, source, captions, settings, leaks, world, teachers)
    with run.trainer.prepared():
        if folder is not None:
            header = {"excluded": excluded.tolist()} if exclude is not None else {}
            board, inputs = tensorboard and world.leads, _inputs(source, captions, leaks, settings)
            run.keep(RunFolder(folder, settings, header, inputs=inputs, tensorboard=board), resume)
        run.all_epochs(save_every, progress and world.leads, validation)
    return Pretrained(run.log_of_epochs(), run.finish(), excluded)


def _check_batch(settings: PretrainSettings, world: World) -> None:
    if settings.batch_size % world.size:
        raise InputError(
            f"batch_size={settings.batch_size} cannot be shared evenly by {world.size} processes; "
            "give a multiple of their number"
        )


def _first(ids: np.ndarray, n: int = 10) -> str:
    return ", ".join(ids[:n].tolist()) + (" ..." if len(ids) > n else "") if len(ids) else "none"


def _inputs(
    source: ImageSource, captions: Captions, leaks: np.ndarray, settings: PretrainSettings
) -> dict[str, str]:
    """Hashes of what a run learns from: images, and a thousand captions or so, or all answers."""
    images = {"source": source.identity(), "excluded": np.flatnonzero(leaks).tolist()}
    if settings.loss == "answers":
        return {"images": document_hash(images), "answers": captions.questions.digest()}
    rows = np.flatnonzero(~leaks)
    some = rows[:: max(len(rows) // 1024, 1)]
    mirrored = np.zeros(len(some), bool)
    written = captions.write(some, epoch=0, seed=0, flipped=mirrored) if len(some) else []
    return {"images": document_hash(images), "captions": document_hash({"written": written})}


class _Run:
    """The epochs of a run, from where it stands to its end."""

    def __init__(
        self,
        encoder: Encoder,
        source: ImageSource,
        captions: Captions,
        settings: PretrainSettings,
        leaks: np.ndarray,
        world: World,
        teachers: Sequence[Encoder],
    ) -> None:
        self.settings = settings
        self.leads = world.leads
        self.wait = world.wait
        own_memory = encoder.device if encoder.device.type == "cuda" else None
        self.shuffler = Shuffler(source, excluded=leaks, device=own_memory)
        self.batch_size = settings.batch_size
        if settings.defects:  # every process draws the same images, and knows of no other
            self.batch_size, world = settings.batch_size // world.size, World()
        self.world = world
        self.steps_an_epoch = max(self.shuffler.usable // self.batch_size, 1)
        # of a recipe of one's own the contract has no more than the name
        recipe = source.recipe or COLOURS.get((encoder.contract.recipe or "").upper())
        self.trainer = Trainer(
            encoder, captions, settings, self.steps_an_epoch, recipe, world, teachers
        )
        self.folder: RunFolder | None = None
        self.log: list[dict[str, Any]] = []
        self.epoch = 0
        self.losses: list[float] = []  # of the present epoch

    def keep(self, folder: RunFolder, resume: bool) -> None:
        """Keep the run in a folder, and go on from what is there."""
        self.folder = folder
        state = folder.restore() if resume else None
        if state is not None:
            self.trainer.load(state)
            self.log, self.epoch, self.losses = state["log"], state["epoch"], state["losses"]
        self.wait()

    def all_epochs(self, save_every: int, progress: bool, validation: Validation | None) -> None:
        """Take the steps that are left."""
        total = self.settings.epochs * self.steps_an_epoch
        done = self.epoch * self.steps_an_epoch + len(self.losses)
        with tqdm(total=total, initial=done, unit="step", disable=not progress) as bar:
            while self.epoch < self.settings.epochs:
                entry = self._one_epoch(save_every, bar)
                if validation is not None and self.leads:
                    with self.trainer.averaged_weights():
                        found = validation(self.trainer.encoder)
                        entry |= {name: float(value) for name, value in found.items()}
                self.wait()
                self.log.append(entry)
                self.epoch, self.losses = self.epoch + 1, []
                self._save({k: v for k, v in entry.items() if k != "epoch"})

    def _one_epoch(self, save_every: int, bar: Any) -> dict[str, Any]:
        """Take the steps of one epoch, or of its rest, and return its log entry."""
        images, start, speed = 0, time.perf_counter(), 0.0
        batches = self.shuffler.batches(
            self.batch_size, seed=self.settings.seed, epoch=self.epoch, skip=len(self.losses)
        )
        bar.set_description(f"epoch {self.epoch + 1}/{self.settings.epochs}")
        for pixels, rows in batches:
            even = len(rows) // self.world.size * self.world.size
            if not even:
                break
            step = self.epoch * self.steps_an_epoch + len(self.losses)
            self.losses.append(self.trainer.step(step, self.epoch, pixels[:even], rows[:even]))
            images += even
            speed = images / (time.perf_counter() - start)
            bar.set_postfix_str(f"loss {np.mean(self.losses[-20:]):.3f}, {speed:.0f} images/s")
            bar.update()
            if len(self.losses) % save_every == 0:
                recent = round(float(np.mean(self.losses[-save_every:])), 6)
                entry = {"step": step + 1, "loss": recent, "learning_rate": self.trainer.rate(step)}
                self.log.append(entry)
                self._save({"loss": recent})
        if not self.losses:
            raise InputError(
                f"{self.shuffler.usable or 'no'} row of the source has an image to train on, and "
                f"there are {self.world.size} processes: give one or more a process"
            )
        step = self.epoch * self.steps_an_epoch + len(self.losses) - 1
        return {
            "epoch": self.epoch + 1,
            "loss": round(float(np.mean(self.losses)), 6),
            "learning_rate": self.trainer.rate(step),
            "logit_scale": round(self.trainer.encoder.logit_scale, 3),
            "images_per_second": round(speed, 1),
        }

    def _save(self, shown: dict[str, float]) -> None:
        if self.folder is None or not self.leads:
            return
        place = {"epoch": self.epoch, "losses": self.losses}
        self.folder.save(place | self.trainer.state(), self.log)
        self.folder.show(shown, self.epoch * self.steps_an_epoch + len(self.losses))

    def log_of_epochs(self) -> list[dict[str, Any]]:
        """Entries of whole epochs."""
        return [entry for entry in self.log if "epoch" in entry]

    def finish(self) -> VoteHead | None:
        """Leave the result in the encoder, and return the vote head."""
        self.trainer.finish()
        if self.folder is not None:
            self.folder.close()
        votes = self.trainer.towers.votes
        return None if votes is None else votes.head()
