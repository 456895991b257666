"""Pictures: what is drawn is what was given."""

import itertools

import numpy as np
import pytest
from astropy.table import QTable
from matplotlib.figure import Figure

from gmc_astro import plots
from gmc_astro.exceptions import InputError
from gmc_astro.learning import expected_calibration_error
from gmc_astro.morphology import GALAXY10_DECALS


def words(figure):
    """All text of a figure."""
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    found += [axes.get_title(loc=loc) for axes in figure.axes for loc in ("left", "center")]
    return found


def test_confusion_writes_shares_or_counts():
    targets, predicted = [0, 0, 0, 0, 1], [0, 0, 0, 1, 1]
    assert words(plots.confusion(targets, predicted, ["a", "b"]))[:4] == [
        "0.75",
        "0.25",
        "0.00",
        "1.00",
    ]
    counts = plots.confusion(targets, predicted, ["a", "b"], normalise=None)
    assert words(counts)[:4] == ["3", "1", "0", "1"]
    assert [t.get_text() for t in counts.axes[0].get_yticklabels()] == ["a", "b"]
    assert counts.axes[0].get_ylabel() == "true"


def test_confusion_of_names_is_that_of_numbers():
    names = ["smooth", "spiral"]
    predicted = np.ma.array(["smooth", "spiral", "spiral", "smooth"], mask=[0, 0, 0, 1])
    figure = plots.confusion(["smooth", "smooth", "spiral", "spiral"], predicted, names)
    assert words(figure) == words(plots.confusion([0, 0, 1], [0, 1, 1], names))


def test_confusion_refuses_what_is_no_class():
    with pytest.raises(InputError, match=r"labels \['ring'\] are not among the classes"):
        plots.confusion(["a", "b"], ["a", "ring"], ["a", "b"])
    with pytest.raises(InputError, match="label 5 of row 1 is not between 0 and 1"):
        plots.confusion([0, 1], [0, 5], ["a", "b"])
    with pytest.raises(InputError, match="no row of probe has both a class and a target"):
        plots.confusion(["a", "b"], {"probe": np.ma.array(["a", "b"], mask=True)}, ["a", "b"])


def test_confusion_has_a_panel_a_method():
    figure = plots.confusion([0, 1], {"probe": [0, 1], "scratch": [1, 1]}, ["a", "b"])
    assert [axes.get_title() for axes in figure.axes] == ["probe", "scratch"]
    with pytest.raises(InputError, match="1 predictions probe for 2 targets"):
        plots.confusion([0, 1], {"probe": [0]}, ["a", "b"])
    with pytest.raises(InputError, match="normalise='rows'"):
        plots.confusion([0, 1], [0, 1], ["a", "b"], normalise="rows")


def test_reliability_of_a_calibrated_classifier_lies_on_the_diagonal():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 4000)
    targets = (rng.uniform(size=4000) > sure).astype(int)
    figure = plots.reliability(np.stack([sure, 1 - sure], axis=1), targets)
    line = figure.axes[0].lines[1]
    assert len(line.get_xdata()) == 8
    assert np.allclose(line.get_xdata(), line.get_ydata(), atol=0.07)
    assert words(figure)[0].startswith("ECE 0.0")


def test_reliability_leaves_out_rows_without_an_image():
    rng = np.random.default_rng(1)
    probabilities, targets = rng.dirichlet(np.ones(3), 200), rng.integers(0, 3, 200)
    spoilt = np.concatenate([np.full((50, 3), np.nan), probabilities])
    figure = plots.reliability(spoilt, np.concatenate([np.zeros(50, int), targets]))
    whole = plots.reliability(probabilities, targets)
    heights = [[bar.get_height() for bar in f.axes[0].patches] for f in (figure, whole)]
    assert heights[0] == heights[1]
    assert words(figure) == words(whole)
    with pytest.raises(InputError, match="no row of the predictions has both"):
        plots.reliability(spoilt[:50], np.zeros(50, int))


@pytest.mark.parametrize("bins", [None, 2, 5])
def test_the_error_in_a_reliability_diagram_is_that_of_its_bins(bins):
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(3), 200)
    targets = rng.integers(0, 3, 200)
    options = {} if bins is None else {"bins": bins}
    figure = plots.reliability(probabilities, targets, **options)
    error = expected_calibration_error(probabilities, targets, **options)
    assert words(figure)[0] == f"ECE {error:.3f}"
    assert len(figure.axes[0].patches) == (bins or 15)


def test_learning_curve_draws_means_and_spreads():
    curves = {"probe": {0.01: [0.7, 0.8], 1.0: [0.9, 0.9]}, "zero-shot": {0: [0.6, 0.62]}}
    figure = plots.learning_curve({"macro-F1": curves, "accuracy": curves})
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == "macro-F1"
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([0.75, 0.9])
    assert axes.lines[1].get_ydata() == pytest.approx([0.61, 0.61])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1 %", "100 %"]
    with pytest.raises(InputError, match="no curve"):
        plots.learning_curve({"macro-F1": {}})


def test_curves_of_methods_without_labels_alone():
    figure = plots.learning_curve({"accuracy": {"zero-shot": {0: [0.6]}}})
    figure.canvas.draw()


def test_embedding_map_keeps_groups_together():
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(c, 0.05, (30, 8)) for c in (-1, 1)])
    vectors[0] = np.nan
    labels = np.repeat(["smooth", "spiral"], 30)
    figure = plots.embedding_map(vectors, labels)
    groups = [np.asarray(points.get_offsets()) for points in figure.axes[0].collections]
    assert [len(points) for points in groups] == [29, 30]
    from sklearn.metrics import silhouette_score

    names = np.repeat([0, 1], [29, 30])
    assert silhouette_score(np.concatenate(groups), names) > 0.5


def test_embedding_map_refuses():
    with pytest.raises(InputError, match="'pca' is not one of"):
        plots.embedding_map(np.eye(5), method="pca")
    with pytest.raises(InputError, match="needs 4 or more"):
        plots.embedding_map(np.eye(3))
    with pytest.raises(InputError, match="2 labels for 5 embeddings"):
        plots.embedding_map(np.eye(5), ["a", "b"])


def test_umap_is_an_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(InputError, match=r'pip install "gmc_astro\[umap\]"'):
        plots.embedding_map(np.eye(5), method="umap")


def test_gallery_shows_labels_and_probabilities(pictures):
    figure = plots.gallery(pictures[:3], ["edge_on", "spiral", "spiral"], [0.9, np.nan, 0.5])
    assert isinstance(figure, Figure)
    assert {"edge on", "spiral", "0.90", "0.50"} <= set(words(figure))
    assert "nan" not in words(figure)
    colours = {axes.get_title(): axes.title.get_color() for axes in figure.axes[:2]}
    assert len(set(colours.values())) == 2


def test_names_of_galaxies_have_no_colours_of_classes(pictures):
    figure = plots.gallery(pictures[:2], probabilities=[0.9, 0.5], names=["NGC_1", "NGC_2"])
    shown = [(axes.get_title(), axes.title.get_color()) for axes in figure.axes[:2]]
    assert shown == [("NGC_1", "white"), ("NGC_2", "white")]
    with pytest.raises(InputError, match="1 names for 2 images"):
        plots.gallery(pictures[:2], names=["NGC_1"])


def test_gallery_with_a_line_a_class(pictures):
    rows = {"spiral": [3, 1], "smooth": [], "edge_on": [0]}
    figure = plots.gallery(pictures, rows=rows, columns=2, title="Examples")
    assert len(figure.axes) == 4
    assert np.array_equal(figure.axes[0].images[0].get_array(), pictures[3])
    assert {"spiral", "edge on"} <= set(words(figure))


def test_gallery_of_masks(pictures):
    mask = np.arange(len(pictures)) % 20 == 7
    figure = plots.gallery(pictures, rows={"spiral": mask}, columns=2)
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert np.array_equal(shown, pictures[[7, 27]])


@pytest.mark.parametrize("rows", [[40], [-41], [True, False], [0.5], ["a"], [[0, 1]]])
def test_gallery_refuses_rows_that_are_not_there(pictures, rows):
    with pytest.raises(InputError, match=r"rows\['a'\] of shape .* are no rows of 40 images"):
        plots.gallery(pictures, rows={"a": rows})


def test_gallery_refuses(pictures):
    with pytest.raises(InputError, match="no image to show"):
        plots.gallery(pictures, rows={"spiral": []})
    with pytest.raises(InputError, match="1 labels for 40 images"):
        plots.gallery(pictures, ["spiral"])


def test_pictures_leave_pyplot_alone():
    import matplotlib.pyplot as plt

    plots.confusion([0, 1], [0, 1], ["a", "b"])
    assert plt.get_fignums() == []


def test_methods_differ_without_colour_too():
    styles = plots.method_styles([f"m{i}" for i in range(8)])
    assert len({style["marker"] for style in styles.values()}) == 8
    many = plots.method_styles([f"m{i}" for i in range(40)])
    assert len({tuple(style.values()) for style in many.values()}) == 40
    assert len({style["color"] for style in styles.values()}) == 8


def test_a_long_name_of_a_line_takes_no_room_from_the_images():
    images = np.zeros((6, 16, 16, 3), np.uint8)
    widths = []
    for name in ("a", "volunteers: one thing, the model: quite another one"):
        figure = plots.gallery(images, rows={name: range(6)})
        figure.canvas.draw()
        widths.append([axes.get_window_extent().width for axes in figure.axes])
        assert name in [text.get_text() for text in figure.axes[0].texts]
    np.testing.assert_allclose(widths[0], widths[1])
    np.testing.assert_allclose(widths[0], widths[0][0], rtol=0.01)


def legend(figure):
    """The legend's words, after a look at whether all of them are on the picture."""
    figure.canvas.draw()
    (found,) = figure.legends
    box = found.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    return [text.get_text() for text in found.get_texts()]


def positions(labels, **meta):
    """A table of galaxies along a line, as `plots.field` takes it."""
    columns = {name: np.full(len(labels), 5.0) for name in ("semimajor", "semiminor", "y")}
    places = {"x": np.arange(len(labels)) * 9.0, "orientation": np.zeros(len(labels))}
    return QTable({**columns, **places, "label": labels}, meta=meta)


def test_ten_classes_differ_on_a_map_and_in_a_field():
    names = list(GALAXY10_DECALS.names)
    figure = plots.embedding_map(np.random.default_rng(0).normal(size=(40, 8)), names * 4)
    looks = {
        (tuple(points.get_facecolor()[0]), points.get_paths()[0].vertices.tobytes())
        for points in figure.axes[0].collections
    }
    assert len(looks) == 10
    assert legend(figure) == sorted(name.replace("_", " ") for name in names)
    picture = np.zeros((40, 99, 3), np.uint8)
    figure = plots.field(picture, positions(names, class_names=names))
    outlines = figure.axes[0].patches
    assert len({(o.get_edgecolor(), o.get_linestyle()) for o in outlines}) == 10
    assert legend(figure) == [f"{name.replace('_', ' ')} (1)" for name in names]


def test_a_map_shows_what_has_no_label_in_grey():
    vectors = np.random.default_rng(0).normal(size=(12, 4))
    masked = np.ma.array(["smooth", "spiral", "ring"] * 4, mask=[0, 0, 1] * 4)
    for labels in (masked, ["smooth", "spiral", None] * 4):
        assert legend(plots.embedding_map(vectors, labels)) == ["no label", "smooth", "spiral"]


def test_a_field_without_labels_or_classes():
    picture = np.zeros((40, 40, 3), np.uint8)
    nothing = np.ma.array(["", ""], mask=True)
    figure = plots.field(picture, positions(nothing, class_names=["smooth"]))
    assert legend(figure) == ["smooth (0)"]
    assert not figure.axes[0].patches
    assert legend(plots.field(picture, positions(["b", "a", "b"]))) == ["a (1)", "b (2)"]
    with pytest.raises(InputError, match=r"labels \['c'\] are not among the classes \['a'\]"):
        plots.field(picture, positions(["c"], class_names=["a"]))
    with pytest.raises(InputError, match="no column orientation"):
        plots.field(picture, QTable(positions(["a"]))["x", "y", "semimajor", "semiminor", "label"])
    with pytest.raises(InputError, match=r"shape \(40, 40\) and dtype uint8 cannot be drawn"):
        plots.field(picture[..., 0], positions(["a"]))


def test_long_classes_have_room():
    name = "a galaxy with a tightly wound spiral and a strong bar"
    figure = plots.confusion([0, 1], [0, 1], [name, "smooth"])
    figure.canvas.draw()
    for label in (*figure.axes[0].get_xticklabels(), *figure.axes[0].get_yticklabels()):
        box = label.get_window_extent()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.width
    assert figure.axes[0].get_window_extent().width > 60


def test_a_class_without_rows_has_no_share():
    assert words(plots.confusion([0, 0], [0, 1], ["a", "b"]))[:3] == ["0.50", "0.50", ""]
    columns = plots.confusion([0, 0], [0, 0], ["a", "b"], normalise="predicted")
    assert words(columns)[:3] == ["1.00", "0.00", ""]


def test_reliability_leaves_out_rows_without_a_target():
    probabilities = np.array([[0.9, 0.1]] * 12)
    for targets in (np.ma.array([0, 1] * 6, mask=[0, 1] * 6), [0, -1] * 6):
        assert words(plots.reliability(probabilities, targets))[0] == "ECE 0.100"


@pytest.mark.parametrize(
    ("draw", "problem"),
    [
        (lambda: plots.reliability([0.9, 0.4], [0, 1]), r"of shape \(2,\) are not \(N, K\)"),
        (lambda: plots.reliability([[0.9, 0.1]], [0], bins=0), "bins=0 is less than 1"),
        (lambda: plots.reliability({}, [0]), "the mapping is empty"),
        (lambda: plots.reliability([[0.9, 0.1]], ["a"]), "of dtype <U1 are no numbers of classes"),
        (lambda: plots.confusion([0], {}, ["a"]), "the mapping is empty"),
        (lambda: plots.embedding_map([]), r"shape \(0,\) are not \(N, D\)"),
    ],
)
def test_bad_input_is_named(draw, problem):
    with pytest.raises(InputError, match=problem):
        draw()


def test_the_legend_of_curves_names_all_and_fits():
    some = {0.01: [0.5, 0.6], 1.0: [0.8, 0.9]}
    curves = {f"convnext:convnext_base@imagenet{i}": some for i in range(4)}
    figure = plots.learning_curve({"F1": {**curves, "zero-shot": {0: [0.5]}}, "accuracy": curves})
    assert legend(figure) == [*curves, "zero-shot"]
    assert len(legend(plots.learning_curve({"F1": curves}))) == 4


def test_the_spread_at_one_share_can_be_seen():
    figure = plots.learning_curve({"F1": {"probe": {0.1: [0.5, 0.9]}}})
    (bar,) = figure.axes[0].collections
    assert np.ptp(bar.get_segments()[0][:, 1]) == pytest.approx(2 * np.std([0.5, 0.9], ddof=1))


def test_a_curve_that_begins_without_labels():
    figure = plots.learning_curve({"F1": {"probe": {0: [0.4], 0.1: [0.5], 1.0: [0.9]}}})
    level, curve = figure.axes[0].lines
    assert level.get_ydata()[0] == 0.4
    assert curve.get_ydata().tolist() == [0.5, 0.9]
    assert legend(figure) == ["probe"]


def test_long_ids_do_not_overlap_and_keep_their_ends():
    images = np.zeros((4, 16, 16, 3), np.uint8)
    names = [f"J123456.78+123456.{i}_decals_dr10.fits" for i in range(4)]
    figure = plots.gallery(images, names=names, columns=4)
    figure.canvas.draw()
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert figure.axes[0].get_title().startswith("J123456.78")
    assert figure.axes[0].get_title().endswith("dr10.fits")


def test_a_sheet_leaves_masked_labels_empty_and_takes_dollars_as_they_are():
    images = np.zeros((3, 16, 16, 3), np.uint8)
    figure = plots.gallery(images, np.ma.array(["a$\\frac$", "b", "c"], mask=[0, 1, 0]))
    figure.canvas.draw()
    assert figure.axes[1].get_title() == ""


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"columns": 0}, "columns=0 is less than 1"),
        ({"rows": {"a": [0]}, "names": ["x", "y"]}, "leave out labels and names"),
    ],
)
def test_a_sheet_refuses(options, problem):
    with pytest.raises(InputError, match=problem):
        plots.gallery(np.zeros((2, 16, 16, 3), np.uint8), **options)


@pytest.mark.parametrize("images", [np.zeros((2, 16, 16)), np.ones((2, 16, 16, 3))])
def test_a_sheet_takes_colours_of_eight_bits_alone(images):
    with pytest.raises(InputError, match="cannot be drawn; give"):
        plots.gallery(images)


def test_pictures_need_matplotlib(monkeypatch):
    for name in ("matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(InputError, match=r'pip install "gmc_astro\[plots\]"'):
        plots.field(np.zeros((40, 40, 3), np.uint8), positions(["a"]))
