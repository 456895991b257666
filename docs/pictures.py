"""Pictures that the documentation draws anew each time it is built, without network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gmc_astro.imaging import RECIPES, make_rgb
from gmc_astro.testing import SimulatedGalaxy, render_galaxy

SPIRAL = SimulatedGalaxy(
    flux=900, disk_radius=7, bulge_radius=1.2, bulge_share=0.18, axis_ratio=0.75, angle=0.6, arms=2
)


def draw_recipes(path: Path) -> None:
    """One simulated galaxy in each colour recipe."""
    planes = dict(zip("griz", render_galaxy(SPIRAL, tuple("griz"), pixels=244), strict=True))
    figure = Figure(figsize=(10, 2.7), layout="constrained")
    for axes, recipe in zip(
        np.ravel(figure.subplots(1, len(RECIPES))), RECIPES.values(), strict=True
    ):
        axes.imshow(make_rgb({band: planes[band] for band in recipe.bands}, recipe=recipe))
        axes.set_title(f"{recipe.name}\n{''.join(recipe.bands)}", fontsize=9)
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
