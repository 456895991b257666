"""What measured shapes say in answers of a tree."""

from __future__ import annotations

import numpy as np

__all__ = ["BULGE_CONTRASTS", "OUTLINE_LIMITS", "bulge_shares", "outline_shares"]

#: Axis ratios above the first limit measure round, below the second elongated, else in between.
#: They stand away from the middle of each of Galaxy Zoo 2's three words for roundness.
OUTLINE_LIMITS = (0.8, 0.45)

#: Contrast of core and disc in SDSS's colours where the bulge is not there, just noticeable,
#: obvious and dominant. The first and the last are medians of four examples each that experts
#: chose and that the bundled model is trained on; the logarithms between them are evenly spaced.
BULGE_CONTRASTS = (1.63, 1.99, 2.43, 2.96)

_CONTRAST_SCATTER = 0.12  # of the logarithm, among galaxies of the same answer


def outline_shares(axis_ratio: np.ndarray) -> np.ndarray:
    """Tell which answer on the outline an axis ratio is.

    Parameters
    ----------
    axis_ratio : `~numpy.ndarray`, shape (N,)
        Minor over major axis.

    Returns
    -------
    shares : `~numpy.ndarray`, shape (N, 3)
        1 for round, in between or elongated, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.morphology.shapes import outline_shares
    >>> outline_shares(np.array([0.9, 0.3]))
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    upper, lower = OUTLINE_LIMITS
    round_, elongated = axis_ratio >= upper, axis_ratio < lower
    return np.stack([round_, ~round_ & ~elongated, elongated], axis=1).astype(float)


def bulge_shares(core_contrast: np.ndarray) -> np.ndarray:
    """Share of each answer on a spiral galaxy's bulge, by the contrast of core and disc.

    Parameters
    ----------
    core_contrast : `~numpy.ndarray`, shape (N,)
        Above 0.

    Returns
    -------
    shares : `~numpy.ndarray`, shape (N, 4)
        Rows of sum 1: no bulge, just noticeable, obvious, dominant.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.morphology.shapes import bulge_shares
    >>> bulge_shares(np.array([1.2, 4.0])).round(1)
    array([[0.8, 0.2, 0. , 0. ],
           [0. , 0. , 0.2, 0.8]])
    """
    within = np.clip(core_contrast, BULGE_CONTRASTS[0], BULGE_CONTRASTS[-1])
    distance = np.log(within[:, None] / BULGE_CONTRASTS) / _CONTRAST_SCATTER
    shares = np.exp(-0.5 * distance**2)
    return shares / shares.sum(axis=1, keepdims=True)
