"""For tests, documentation and dry runs: simulated galaxies and a survey server on this machine."""

from gmc_astro.testing.faults import HIPS_FAULTS, VIEWER_FAULTS, Fault, Faults
from gmc_astro.testing.server import SurveyServer, serve_surveys
from gmc_astro.testing.simulate import SimulatedGalaxy, galaxy_at, render_galaxy
from gmc_astro.testing.training_galaxies import draw_labelled_galaxy, write_training_galaxies

__all__ = [
    "HIPS_FAULTS",
    "VIEWER_FAULTS",
    "Fault",
    "Faults",
    "SimulatedGalaxy",
    "SurveyServer",
    "draw_labelled_galaxy",
    "galaxy_at",
    "render_galaxy",
    "serve_surveys",
    "write_training_galaxies",
]
