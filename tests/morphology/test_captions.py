import numpy as np
import pytest
from astropy.table import Table

from gmc_astro.exceptions import InputError
from gmc_astro.morphology import LABEL_TREE, PHRASES, SCHEMES, CaptionWriter, VoteTable


@pytest.fixture(scope="module")
def votes():
    """Every label that is known, forty galaxies of each, with measured outlines."""
    from gmc_astro.morphology.label_tables import ANSWERS_OF_LABELS

    names = np.repeat(list(ANSWERS_OF_LABELS), 40)
    table = Table({"id": np.arange(len(names)).astype(str), "label": names})
    rng = np.random.default_rng(0)
    return VoteTable.read(table).with_outline(rng.uniform(0.2, 1, len(names)))


@pytest.fixture(scope="module")
def writer():
    return CaptionWriter()


@pytest.mark.parametrize("epoch", range(3))
@pytest.mark.parametrize("handedness", [False, True])
def test_every_claim_of_every_caption_is_supported(votes, writer, epoch, handedness):
    captions = writer(votes, epoch=epoch, handedness=handedness)
    relation = votes.supports(writer.claim_matrix(captions))
    silent = [not writer.claims(caption) for caption in captions]
    assert np.all((relation.diagonal() == 1) | silent)
    assert np.mean(silent) < 0.1


@pytest.mark.parametrize("epoch", range(5))
def test_every_claim_about_real_galaxies_is_supported(data_folder, writer, epoch):
    votes = VoteTable.read(data_folder / "votes" / "gz2_stripe82_coadd_votes.csv.gz")
    captions = writer(votes, epoch=epoch)
    claims = writer.claim_matrix(captions)
    fractions = np.where(claims, votes.fractions, 1)
    assert np.nanmin(fractions) >= 0.5
    assert np.isfinite(fractions).all()
    assert len(set(captions)) > 5000


def test_same_captions_on_every_machine(writer):
    table = Table({"id": ["587722984439545906"], "label": ["spiral_clockwise"]})
    assert writer(VoteTable.read(table), epoch=2, handedness=True) == [
        "clearly a disc galaxy, not edge-on, a spiral galaxy, clearly a clockwise spiral"
    ]


def test_captions_change_from_epoch_to_epoch(votes, writer):
    first, second = writer(votes, epoch=0), writer(votes, epoch=1)
    assert np.mean([a != b for a, b in zip(first, second, strict=True)]) > 0.8


def test_a_caption_does_not_depend_on_its_neighbours(votes, writer):
    assert writer(votes[17], epoch=2) == writer(votes, epoch=2)[17:18]


def test_handedness_only_when_asked(votes, writer):
    assert not any("clockwise" in caption for caption in writer(votes))
    assert any("clockwise" in caption for caption in writer(votes, handedness=True))


def test_doubt_is_said(writer):
    fractions = np.full((50, len(LABEL_TREE)), np.nan, np.float32)
    fractions[:, LABEL_TREE.index("smooth_or_features", "smooth")] = 0.6
    votes = VoteTable(np.arange(50).astype(str), fractions)
    assert all(any(w in c for w in ("probably", "possibly", "likely")) for c in writer(votes))


def test_nothing_known_claims_nothing(writer):
    votes = VoteTable(np.array(["1"]), np.full((1, len(LABEL_TREE)), np.nan, np.float32))
    assert writer.claims(writer(votes)[0]) == frozenset()


def test_no_phrase_means_two_things():
    phrases = [phrase for options in PHRASES.values() for phrase in options]
    assert len(phrases) == len(set(phrases))
    assert not any(", " in phrase for phrase in phrases)


def test_foreign_sentence_is_refused(writer):
    with pytest.raises(InputError, match="'a banana' is not a clause"):
        writer.claims("a banana")


def test_unknown_style():
    with pytest.raises(InputError, match="style='poem'"):
        CaptionWriter(style="poem")


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_prompts_of_shipped_schemes_are_in_the_captions_words(writer, scheme):
    for name, prompts in scheme.classes.items():
        assert all(writer.claims(prompt) for prompt in prompts), name
