"""The image contract: what the images of a model were, so that new ones can be made the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gmc_astro.exceptions import CheckpointError

__all__ = ["ImageContract"]


@dataclass(frozen=True)
class ImageContract:
    """What a model expects of an image; travels with its checkpoint.

    Parameters
    ----------
    recipe : str or None, optional
        Name of the colour recipe that made the training images, as in
        ``gmc_astro.imaging.RECIPES``. None: not one recipe (photographs, say).
    framing : {"petrosian", "fixed", "none"}, optional
        How the training images were cut out.
    span : float or None, optional
        Width of an image in Petrosian radii (petroR90) where ``framing="petrosian"``.
    pixel_scale : float or None, optional
        Arcseconds a pixel where ``framing="fixed"``.
    orientation : str, optional
        Which way is up.
    size : int, optional
        Pixels on a side that the image tower takes.
    mean, std : tuple of float, optional
        Normalisation of each channel, on the scale 0 to 1.

    Examples
    --------
    >>> from gmc_astro.models import ImageContract
    >>> ImageContract(recipe="SDSS_VIEWER", framing="petrosian", span=6.4, size=96).size
    96
    """

    recipe: str | None = None
    framing: str = "none"
    span: float | None = None
    pixel_scale: float | None = None
    orientation: str = "north up, east left"
    size: int = 224
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    def to_dict(self) -> dict[str, Any]:
        """Return the contract as plain values for JSON.

        Returns
        -------
        contract : dict
            One entry a field; `from_dict` reads it back.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageContract:
        """Read a contract written by `to_dict`.

        Parameters
        ----------
        values : mapping
            Entries named as the fields; missing ones take the defaults.

        Returns
        -------
        contract : `ImageContract`
            The contract.

        Raises
        ------
        gmc_astro.exceptions.CheckpointError
            If an entry is not a field of the contract.
        """
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise CheckpointError(
                f"image contract has unknown entries {unknown}; it was written by another "
                "version of gmc_astro: update the package"
            )
        tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**tuples)
