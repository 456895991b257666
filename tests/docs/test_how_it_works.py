"""The page on the science lists papers that the code names, and its formulas are the code's."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit, gammaln, log_softmax

import gmc_astro
from gmc_astro.imaging import LEGACY_DR9, SPAN, make_rgb
from gmc_astro.learning import (
    PretrainSettings,
    VoteCaptions,
    VoteHead,
    contrastive_loss,
    dirichlet_multinomial_loss,
    infonce_loss,
    sigmoid_loss,
    soft_contrastive_loss,
)
from gmc_astro.morphology import GZ2_TREE, VoteTable

PAGE = (Path(__file__).parents[2] / "docs" / "how_it_works.rst").read_text()


def test_every_paper_is_named_by_the_code():
    """By its arXiv number, or by name and year where it has none."""
    code = "\n".join(path.read_text() for path in Path(gmc_astro.__file__).parent.rglob("*.py"))
    papers = re.findall(r"^\.\. \[\w+\] (.*)$", PAGE, flags=re.M)
    assert len(papers) > 10
    numbers = [re.search(r"arXiv:[\w./-]+\d", paper) for paper in papers]
    known = [
        number[0] if number else re.match(r"\D+ \d{4}", paper)[0]
        for number, paper in zip(numbers, papers, strict=True)
    ]
    assert [name for name in known if name not in code] == []


def test_numbers_are_the_code_s():
    assert f"cuts {SPAN} petroR90 out" in PAGE
    assert f"width :math:`h = {PretrainSettings().width}`" in PAGE
    assert f"``{PretrainSettings().loss}`` (the default" in PAGE


@pytest.fixture
def batch():
    """Vectors of images and captions, the similarity of votes, and the scale."""
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(2, 5, 8))
    u, v = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (u, v))
    w = rng.uniform(size=(5, 5))
    w = (w + w.T) / 2
    np.fill_diagonal(w, 1)
    return u, v, w, 7.0


def both_ways(z, target, loss):
    return (loss(z, target) + loss(z.T, target.T)) / 2


def test_infonce(batch):
    u, v, w, s = batch
    expected = both_ways(s * u @ v.T, w, lambda z, _: -np.diag(log_softmax(z, 1)).mean())
    found = infonce_loss(torch.tensor(u), torch.tensor(v), torch.tensor(s))
    assert found.item() == pytest.approx(expected)


def test_soft(batch):
    u, v, w, s = batch

    def loss(z, w):
        share = w / w.sum(axis=1, keepdims=True)
        return (share * (np.log(share) - log_softmax(z, axis=1))).sum() / 5

    found = soft_contrastive_loss(*map(torch.tensor, (u, v, w, s)))
    assert found.item() == pytest.approx(both_ways(s * u @ v.T, w, loss))


def test_similarity_of_votes():
    """One question is known of both, one of the second galaxy alone, one of neither."""
    fractions = np.full((2, len(GZ2_TREE)), np.nan, np.float32)
    fractions[:, GZ2_TREE.columns("smooth_or_features")] = [(0.8, 0.1, 0.1), (0.2, 0.7, 0.1)]
    fractions[1, GZ2_TREE.columns("edgeon")] = 0.3, 0.7
    captions = VoteCaptions(VoteTable(np.array(["1", "2"]), fractions, GZ2_TREE))
    given = {"flipped": np.zeros(2, bool), "width": 0.1}
    found = captions.similarity(np.arange(2), ["one", "other"], **given)
    distance = (0.6 + 0.5) / 2  # half of the sum of |f - f'|, unknown fractions as 0
    np.testing.assert_allclose(found[[0, 1], [1, 0]], np.exp(-distance / 0.1), rtol=1e-5)
    equal = captions.similarity(np.arange(2), ["one", "one"], **given)
    assert equal.tolist() == [[1, 1], [1, 1]]


def test_relation(batch):
    u, v, _, s = batch
    relation = np.array(
        [[1, -1, 0, 1, -1], [0, 1, -1, 0, 0], [0, -1, 0, 0, 0], [1, 1, 1, 1, 1], [-1, 0, -1, -1, 1]]
    )

    def loss(z, relation):
        rows = []
        for logits, known in zip(z, relation, strict=True):
            against = np.exp(logits[known < 0]).sum()
            terms = [-np.log(np.exp(p) / (np.exp(p) + against)) for p in logits[known > 0]]
            rows += [np.mean(terms)] if terms else []
        return np.mean(rows)

    found = contrastive_loss(*map(torch.tensor, (u, v, relation, s)))
    assert found.item() == pytest.approx(both_ways(s * u @ v.T, relation, loss))


def test_sigmoid(batch):
    u, v, w, s = batch
    z, b = s * u @ v.T, -3.0
    expected = -(w * np.log(expit(z + b)) + (1 - w) * np.log(expit(-z - b))).sum() / 5
    found = sigmoid_loss(*map(torch.tensor, (u, v, w, s, b)))
    assert found.item() == pytest.approx(expected)


def test_vote_head(batch):
    u = batch[0]
    w, b = np.linspace(-1, 1, 24).reshape(3, 8), np.array([0.1, -0.2, 0.3])
    alpha = 1 + 100 * expit(np.sqrt(8) * u @ w.T + b)
    head = VoteHead(w, b, (("bar", "strong"), ("bar", "weak"), ("bar", "no_bar")))
    np.testing.assert_allclose(head.concentration(u), alpha)
    counts = np.array([[3.0, 0.0, 7.0]] * 5)
    n, strength = counts.sum(axis=1), alpha.sum(axis=1)
    likelihood = gammaln(n + 1) + gammaln(strength) - gammaln(n + strength)
    likelihood += (gammaln(counts + alpha) - gammaln(counts + 1) - gammaln(alpha)).sum(axis=1)
    question = torch.zeros(3, dtype=torch.long)
    found = dirichlet_multinomial_loss(torch.tensor(alpha), torch.tensor(counts), question)
    assert found.item() == pytest.approx(-likelihood.mean())


def test_colours_of_the_viewer():
    flux = np.array([0.02, 0.03, 0.05])
    scaled = np.maximum(0, np.array(LEGACY_DR9.scales) * flux + LEGACY_DR9.offset)
    q, mean = LEGACY_DR9.softening, scaled.mean()
    expected = 255 * scaled * np.arcsinh(q * mean) / (np.sqrt(q) * mean)
    found = make_rgb(np.ones((3, 4, 4)) * flux[:, None, None], recipe=LEGACY_DR9)[0, 0]
    assert (expected < 255).all()
    np.testing.assert_allclose(found, expected[::-1], atol=1)
