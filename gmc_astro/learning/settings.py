"""Settings of a pretraining, as one frozen record, and the recipes that have a name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf

from gmc_astro.exceptions import InputError
from gmc_astro.learning.augment import Augmentation
from gmc_astro.learning.losses import LOSSES

__all__ = ["RECIPES", "PretrainSettings"]


@dataclass(frozen=True)
class PretrainSettings:
    """Settings of `pretrain`.

    Parameters
    ----------
    epochs : int, optional
        Passes over the images.
    batch_size : int, optional
        Images a step, over all processes together.
    micro_batch : int, optional
        Images that a process has in the network at a time. Where a step has more, features are
        computed first and gradients after, piece by piece [1]_; the loss is still that of the
        whole batch. Layers of batch normalisation see the pieces. Default is a step's images.
    loss : {"soft", "relation", "infonce", "sigmoid", "answers"}, optional
        ``"soft"``: `soft_contrastive_loss` on the similarity of votes. ``"relation"``:
        `contrastive_loss` on what votes support and contradict. ``"infonce"``: CLIP's own.
        ``"sigmoid"``: `sigmoid_loss` on the similarity of votes. ``"answers"``: no captions;
        `answer_loss` on `Questions` of the tree, each asked in a sentence an answer.
    width : float, optional
        Distance of two galaxies' votes, 0 to 1, at which their similarity has fallen to 1/e.
    vote_weight : float, optional
        Weight of the loss of the vote counts, where votes have counts. 0 for no vote head.
    teacher_weight : float, optional
        Weight of what teachers say, where there are any: of one minus the cosine between an
        image's embedding and the mean of theirs [3]_. They see the same changes of it, but in the
        middle, whatever ``shift`` the augmentation has.
    caption_style : str, optional
        Style of the captions written from votes; see `~gmc_astro.morphology.CaptionWriter`.
    locked_images : bool, optional
        Leave the image tower as it is: only the text tower learns, for example more words for
        what the images show already [2]_.
    locked_texts : bool, optional
        Leave the text tower as it is: only the image tower learns, for example to see images at
        another size.
    learning_rate, weight_decay, betas
        Of AdamW; biases, normalisation layers and the logit scale are not decayed.
    image_learning_rate : float, optional
        Learning rate of the image tower, where it is not that of the text tower: from random
        weights, a convolutional tower may bear several times the rate at which a transformer
        stops learning.
    warmup : float, optional
        Share of the steps over which the learning rate rises; it then falls as a cosine.
    final_rate : float, optional
        Last learning rate, as a share of ``learning_rate``.
    ema : float, optional
        Decay of the exponential moving average of the weights, which becomes the result;
        less during the first steps. 0 takes the last weights instead.
    start_share : float, optional
        Share of the weights that the networks had before in the result, a mean of both [4]_:
        a training that goes on from a trained model then loses less of what that could do. From
        random weights it must be 0.
    precision : {None, "fp32", "bf16"}, optional
        Number format of the network's arithmetic. Default is the encoder's.
    compile : bool or str, optional
        Compile the image tower with ``torch.compile``; a string names the backend.
    defects : bool, optional
        Train as the paper's public code does where that is thought to be wrong: the temperature
        is not trained, every process draws the same images, and anomaly detection is on.
    prune_words : bool, optional
        In the result, zero the vector of each token that no caption had: such tokens say nothing
        after a random start, the model can warn of them, and its file compresses well. Not for
        an encoder that was trained before.
    augmentation : `~gmc_astro.learning.Augmentation`, optional
        How images are changed.
    seed : int, optional
        Seed of everything random.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the loss has no such name, a number is out of its range, both towers are locked, or
        words are to be pruned in a locked text tower.

    References
    ----------
    .. [1] Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited
       Setup" (GradCache), arXiv:2101.06983
    .. [2] Zhai et al. 2022, "LiT: Zero-Shot Transfer with Locked-image text Tuning",
       arXiv:2111.07991
    .. [3] Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and consistent",
       arXiv:2106.05237
    .. [4] Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903

    Examples
    --------
    >>> from gmc_astro.learning import RECIPES
    >>> RECIPES["reference"].loss
    'infonce'
    """

    epochs: int = 30
    batch_size: int = 256
    micro_batch: int | None = None
    loss: str = "soft"
    width: float = 0.1
    vote_weight: float = 0.05
    teacher_weight: float = 10.0
    caption_style: str = "plain"
    locked_images: bool = False
    locked_texts: bool = False
    learning_rate: float = 1e-3
    image_learning_rate: float | None = None
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: float = 0.1
    final_rate: float = 0.01
    ema: float = 0.998
    start_share: float = 0.0
    precision: str | None = None
    compile: bool | str = False
    defects: bool = False
    prune_words: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InputError(f"loss={self.loss!r} is not one of {sorted(LOSSES)}")
        for name in ("epochs", "batch_size", "micro_batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}={value} must be 1 or more")
        for name in ("width", "learning_rate", "image_learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise InputError(f"{name}={value} must be more than 0")
        for name in ("vote_weight", "teacher_weight", "weight_decay", "seed"):
            if not 0 <= getattr(self, name) < inf:
                raise InputError(f"{name}={getattr(self, name)} must be 0 or more")
        for name in ("start_share", "ema", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} must be 0 or more, and less than 1")
        if self.locked_images and self.locked_texts:
            raise InputError("locked_images and locked_texts leave nothing to train; give one")
        if self.locked_texts and self.prune_words:
            raise InputError("prune_words needs a text tower that learns; locked_texts leaves it")

    @classmethod
    def named(
        cls, recipe: str | PretrainSettings, *, epochs: int | None = None, seed: int = 0
    ) -> PretrainSettings:
        """Settings that a recipe's name stands for.

        Parameters
        ----------
        recipe : str or PretrainSettings
            A name in `RECIPES`, or settings, which stay as they are but for ``epochs``.
        epochs : int, optional
            Passes over the images. Default is the recipe's.
        seed : int, optional
            Seed of a recipe that is named.

        Returns
        -------
        settings : `PretrainSettings`
            The settings.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If there is no recipe of that name.
        """
        if not isinstance(recipe, PretrainSettings):
            if recipe not in RECIPES:
                raise InputError(f"recipe={recipe!r} is not one of {sorted(RECIPES)}")
            recipe = replace(RECIPES[recipe], seed=seed)
        return recipe if epochs is None else replace(recipe, epochs=epochs)


#: Named settings for `pretrain`: ``"gmc"``, and ``"reference"``, those of the paper's public code
#: (Cai et al. 2026) with 64 images on each of 4 GPUs.
RECIPES: dict[str, PretrainSettings] = {
    "gmc": PretrainSettings(),
    "reference": PretrainSettings(
        epochs=30,
        batch_size=256,
        loss="infonce",
        vote_weight=0,
        learning_rate=2e-5,
        weight_decay=0.05,
        betas=(0.9, 0.98),
        warmup=0.1,
        final_rate=0.01,
        ema=0,
        precision="fp32",
        augmentation=Augmentation(
            opening=3,
            crop=0.8,
            rotate=True,
            zoom=(1 / 1.3, 1.3),
            shift=4 / 224,
            flip=0.5,
            recolour=0,
            gain=0,
            contrast=0.5,
            grey=0,
            blur=0,
            noise=0,
        ),
    ),
}
