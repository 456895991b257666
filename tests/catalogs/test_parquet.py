"""Shards are what astropy would write, only faster."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from gmc_astro.catalogs.parquet import write_parquet
from gmc_astro.learning import predictions_table, read_table, write_table


@pytest.mark.parametrize("failed", [False, True])
def test_as_astropy_writes_it(tmp_path, failed):
    status = ["ok", "ok", "gone" if failed else "ok (a note)", "ok"]
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), 4)
    table = predictions_table(
        probabilities,
        status,
        ["a", "bb", "c", "d", "e"],
        ids=np.array(["1", "22", "333", "ä"]),
        coords=SkyCoord(np.arange(4) * u.deg, np.arange(4) * u.deg),
        columns={"petro_r90": [1, np.nan, 3, 4] * u.arcsec},
        meta={"model": "compact", "views": 8},
    )
    write_parquet(table, tmp_path / "ours.parquet")
    write_table(table, tmp_path / "theirs.parquet")
    ours, theirs = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("ours", "theirs"))
    assert ours.schema.equals(theirs.schema, check_metadata=True)
    assert str(ours.to_pydict()) == str(theirs.to_pydict())
    again = read_table(tmp_path / "ours.parquet")
    assert again["label"].tolist() == table["label"].tolist()
    np.testing.assert_array_equal(again["probabilities"], table["probabilities"])
