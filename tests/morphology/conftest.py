"""Simulated volunteers: each walks down a tree, as on the site."""

import numpy as np
import pytest

from gmc_astro.morphology import VoteTable


def simulate_votes(tree, galaxies=300, volunteers=40, seed=0):
    """Votes of volunteers whose opinions differ from galaxy to galaxy, some unanimous."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((galaxies, len(tree)))
    arrived = {question.name: np.zeros(galaxies, int) for question in tree.questions}
    arrived[tree.questions[0].name][:] = volunteers
    for name in tree.order:
        question = tree.question(name)
        if question.needs:
            arrived[name] = counts[:, tree.index(*question.needs)].astype(int)
        concentration = rng.choice([0.1, 0.5, 3.0], galaxies)
        for row in range(galaxies):
            opinion = rng.dirichlet(np.full(len(question.answers), concentration[row]))
            votes = rng.multinomial(arrived[name][row], opinion)
            counts[row, tree.columns(name)] = votes
        for answer in question.answers:
            if answer.leads_to:
                arrived[answer.leads_to] += counts[:, tree.index(name, answer.name)].astype(int)
    fractions = np.full(counts.shape, np.nan, np.float32)
    for question in tree.questions:
        columns = tree.columns(question.name)
        total = counts[:, columns].sum(axis=1, keepdims=True)
        fractions[:, columns] = np.where(total, counts[:, columns] / np.maximum(total, 1), np.nan)
    ids = np.array([f"galaxy-{i}" for i in range(galaxies)])
    return VoteTable(ids, fractions, tree, counts.astype(np.float32))


@pytest.fixture(scope="session")
def simulate():
    """The function that simulates votes on a tree."""
    return simulate_votes


@pytest.fixture(scope="session")
def stripe82_file(data_folder):
    """Real votes of Galaxy Zoo 2."""
    return data_folder / "votes" / "gz2_stripe82_coadd_votes.csv.gz"


@pytest.fixture(scope="session")
def stripe82_table(stripe82_file):
    """The same as a table."""
    from gmc_astro.morphology.columns import open_table

    return open_table(stripe82_file)


@pytest.fixture(scope="session")
def stripe82(stripe82_table):
    """The same, read."""
    return VoteTable.read(stripe82_table)
