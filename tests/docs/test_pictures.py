"""The picture of the house is drawn from the code, and shows all of it."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="needs gmc_astro[plots]")
ROOT = Path(__file__).parents[2]
DRAWN = runpy.run_path(str(ROOT / "docs" / "pictures.py"))
FLOORS = runpy.run_path(str(ROOT / "tests" / "test_floors.py"))["FLOORS"]


@pytest.fixture(scope="module")
def house():
    return DRAWN["house"]()


def test_floors_are_those_of_the_test(house):
    assert house.floors == FLOORS


def test_arrows_are_the_imports_and_go_down(house):
    assert {("classifier", "learning"), ("sources", "surveys")} <= house.arrows
    assert ("learning", "classifier") not in house.arrows
    assert ("__main__", "cli") in house.arrows
    assert all(FLOORS[start][0] > FLOORS[end][0] for start, end in house.arrows)


def test_only_arrows_that_a_longer_way_implies_are_left_out(house):
    direct = DRAWN["direct"](house.arrows)
    assert ("cli", "exceptions") in house.arrows - direct

    def reached(start, arrows):
        ends = {end for begin, end in arrows if begin == start}
        return ends.union(*(reached(end, arrows) for end in ends))

    for room in FLOORS:
        assert reached(room, direct) == reached(room, house.arrows)
    for arrow in direct:  # each is needed
        assert arrow[1] not in reached(arrow[0], direct - {arrow})


def test_every_room_is_drawn_and_described(house, tmp_path):
    DRAWN["draw_floors"](tmp_path)
    picture, table = (tmp_path / f"floors.{kind}" for kind in ("svg", "inc"))
    # matplotlib writes each text as a comment before its outlines
    assert all(f"<!-- {room} -->" in picture.read_text() for room in FLOORS)
    rows = [row.splitlines() for row in table.read_text().split("   * - ")[2:]]
    assert {row[1].split("``")[1] for row in rows} == set(FLOORS)
    assert all(len(row[2]) > len("     - ") for row in rows)
    libraries = {row[1].split("``")[1]: row[3].removeprefix("     - ") for row in rows}
    assert libraries["models"] == ", ".join(sorted(FLOORS["models"][1]))


def test_rooms_of_a_floor_stand_apart(house):
    place = DRAWN["places"]({room: floor for room, (floor, _) in FLOORS.items()}, house.arrows)
    assert len(set(place.values())) == len(FLOORS)
    assert all(place[room][1] == floor for room, (floor, _) in FLOORS.items())
