"""``gmc-astro captions``, run as a user runs it."""

import numpy as np
import pytest
from astropy.table import Table
from click.testing import CliRunner

from gmc_astro.cli import main
from gmc_astro.cli.captions import FORMATS
from gmc_astro.cli.captions import command as captions_command
from gmc_astro.morphology import GZ_DECALS_DR5_TREE, TREES, CaptionWriter, VoteTable
from gmc_astro.morphology.styles import STYLES


def run(*args, code=0):
    result = CliRunner().invoke(main, ["captions", *map(str, args)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def votes(tmp_path):
    """A table of codes, as a file."""
    path = tmp_path / "votes.csv"
    codes = ["SBb2m(r)", "Ei", "Ser(u)", ""]
    ids = [f"58773174151266{i:04d}" for i in range(4)]
    Table({"dr7objid": ids, "gz2_class": codes}).write(path)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_writes_a_table(votes, tmp_path, suffix):
    out = tmp_path / f"captions{suffix}"
    result = run(votes, "-o", out)
    assert str(out) in result.stdout
    assert "4 captions" in result.stderr
    assert "of 1 galaxies nothing could be said" in result.stderr
    table = Table.read(out)
    assert table.colnames == ["id", "caption"]
    expected = VoteTable.read(votes)
    assert np.asarray(table["id"]).astype(str).tolist() == expected.ids.tolist()
    assert table["caption"].tolist() == CaptionWriter()(expected)
    assert "exists" in run(votes, "-o", out, code=2).stderr
    run(votes, "-o", out, "--overwrite", "--epoch", 1)
    assert Table.read(out)["caption"].tolist() == CaptionWriter()(expected, epoch=1)


def test_prints_captions(votes):
    result = run(votes, "--style", "expert", "--epoch", 3, "--seed", 9)
    captions = CaptionWriter(style="expert")(VoteTable.read(votes), epoch=3, seed=9)
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == captions


def test_every_style_and_tree_is_offered():
    style = next(option for option in captions_command.params if option.name == "style")
    assert tuple(style.type.choices) == tuple(STYLES)
    text = " ".join(run("--help").output.split())
    assert all(name in text for name in TREES)


def test_raw_votes_on_a_tree_with_few_votes_and_handedness(simulate_decals):
    path, votes = simulate_decals
    result = run(path, "--tree", "gz_decals_dr5", "--raw", "--min-votes", 5, "--handedness")
    captions = CaptionWriter(GZ_DECALS_DR5_TREE, min_votes=5)(votes, handedness=True)
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == captions


@pytest.fixture
def simulate_decals(tmp_path):
    """A table of GZ DECaLS with eight votes on each first question, as a file and as read."""
    rng = np.random.default_rng(0)
    table = Table({"iauname": [f"J{i}" for i in range(20)]})
    for question in GZ_DECALS_DR5_TREE.questions:
        split = rng.multinomial(8, rng.dirichlet(np.ones(len(question.answers))), 20)
        for answer, counts in zip(question.answers, split.T, strict=True):
            table[answer.column] = counts
            table[f"{answer.column}_debiased"] = rng.uniform(size=20)
            table[f"{answer.column}_fraction"] = counts / 8
    path = tmp_path / "decals.csv"
    table.write(path)
    return path, VoteTable.read(path, debiased=False)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "Missing argument"),
        (["nowhere.csv"], "does not exist"),
        (["VOTES", "--style", "poem"], "'poem' is not one of"),
        (["VOTES", "--tree", "oak"], "--tree oak is not one of labels, GZ2"),
        (["VOTES", "--tree", "GZ1"], "say nothing on GZ1"),
        (["VOTES", "-o", "captions.txt"], "suffix '.txt' is not one of .csv, .ecsv, .parquet"),
        (["VOTES", "-o", "nowhere/captions.csv"], "the folder nowhere does not exist"),
    ],
)
def test_bad_usage(votes, args, says):
    args = [str(votes) if arg == "VOTES" else arg for arg in args]
    assert says in run(*args, code=2).stderr


def test_a_table_without_votes(tmp_path):
    path = tmp_path / "a.csv"
    Table({"a": [1]}).write(path)
    assert "of no layout that is known" in run(path, code=2).stderr


def test_all_real_votes(data_folder, tmp_path):
    out = tmp_path / "captions.parquet"
    result = run(data_folder / "votes" / "gz2_stripe82_coadd_votes.csv.gz", "-o", out)
    assert "19761 captions" in result.stderr
    table = Table.read(out)
    assert len(table) == 19761
    assert len(set(table["caption"])) > 5000
