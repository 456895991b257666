"""The protocol from end to end on simulated galaxies with a tiny model."""

import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from docutils.core import publish_doctree
from docutils.nodes import image, table

from gmc_astro.evaluation import (
    METHODS,
    Cell,
    ModelOptions,
    check_leakage,
    find_row,
    run_benchmark,
    write_report,
)
from gmc_astro.exceptions import InputError
from gmc_astro.learning import FIT_METHODS, FineTuning, held_size
from gmc_astro.models import write_checkpoint

ROWS = ["zero-shot", "probe", "scratch", "timm:test_resnet@random"]


@pytest.fixture
def options(tiny_model, two_steps):
    return {"methods": ROWS, "fractions": [0.1, 1.0], "seeds": [0, 1], "model": tiny_model} | {
        "supervised": two_steps
    }


def without_times(path):
    report = json.loads(path.read_text())
    for result in report["results"]:
        for cell in result["cells"]:
            cell.pop("seconds")
    return report


def test_a_run_that_was_killed_gives_the_same_report(dataset, options, tmp_path, monkeypatch):
    whole = run_benchmark(dataset, tmp_path / "whole", **options)
    write_report(whole, tmp_path / "whole")

    real, taken = Cell.write, []

    def write(self, *args):
        if len(taken) == 5:
            raise KeyboardInterrupt
        taken.append(self.name)
        real(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Cell, "write", write)
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(dataset, tmp_path / "killed", **options)
    cells = tmp_path / "killed" / "cells"
    before = {p.name: p.stat().st_mtime_ns for p in cells.iterdir()}
    assert len(before) == 10
    write_report(run_benchmark(dataset, tmp_path / "killed", **options), tmp_path / "killed")
    assert all((cells / name).stat().st_mtime_ns == time for name, time in before.items())
    assert len(list(cells.glob("*.json"))) == 2 + 3 * 2 * 2  # zero-shot once a seed
    for name in ("report.rst", "splits.json"):
        texts = [(tmp_path / run / name).read_text() for run in ("whole", "killed")]
        assert texts[0] == texts[1]
    reports = [without_times(tmp_path / run / "report.json") for run in ("whole", "killed")]
    assert reports[0] == reports[1]


def test_cells_share_the_model_and_embeddings_and_nothing_that_was_learnt(dataset, tiny_folder):
    model = ModelOptions(str(tiny_folder), device="cpu", views=1)
    images, labels = dataset.images, np.array(dataset.scheme.names)[dataset.targets]
    first = model.classifier(dataset.scheme, 0)
    words = first.predict_proba(images)
    first.fit(images, labels, method="finetune", progress=False)
    other = model.classifier(dataset.scheme, 1)
    assert other.random_state == 1
    assert not hasattr(other, "calibration_")
    np.testing.assert_array_equal(other.predict_proba(images), words)  # of a model left alone

    looked_at = []
    hook = other.encoder.network.visual.register_forward_hook(lambda *_: looked_at.append(1))
    model.classifier(dataset.scheme, 2).fit(images, labels, progress=False)
    hook.remove()
    assert not looked_at


def test_the_report_says_everything(dataset, options, tmp_path):
    benchmark = run_benchmark(dataset, tmp_path, training_images=dataset.images[:2], **options)
    path = write_report(benchmark, tmp_path, figure_prefix="../out/", title="Simulated")
    report = json.loads((tmp_path / "report.json").read_text())
    assert [r["method"] for r in report["results"][::2]] == ROWS
    assert len(report["paired"]) == 6 * 2
    probe = next(r for r in report["results"] if r["method"] == "probe" and r["fraction"] == 1.0)
    cells = [c["metrics"]["macro_f1"] for c in probe["cells"]]
    assert probe["scores"]["macro_f1"]["mean"] == pytest.approx(np.mean(cells))
    assert probe["scores"]["macro_f1"]["std"] == pytest.approx(np.std(cells, ddof=1))
    low, high = probe["scores"]["accuracy"]["interval_95"]
    assert low <= probe["scores"]["accuracy"]["mean"] <= high
    ece = probe["scores"]["ece"]
    assert f"{ece['mean']:.3f} ± {ece['std']:.3f} ({ece['by_chance']:.3f})" in path.read_text()
    assert len(report["leakage"]["alike"]) >= 2
    (computed,) = report["computed"]
    assert computed["machine"]["device"].startswith("cpu")
    assert computed["versions"]["torch"]
    assert computed["methods"] == ROWS

    text = path.read_text()
    document = publish_doctree(text, settings_overrides={"report_level": 2, "halt_level": 2})
    images = list(document.findall(image))
    assert [node["uri"] for node in images] == [
        f"../out/{name}.png" for name in ("learning_curve", "confusion", "reliability")
    ]
    assert all(node["alt"] for node in images)
    assert all((tmp_path / node["uri"].rsplit("/", 1)[-1]).stat().st_size > 5000 for node in images)
    titles = [node.astext().split("\n")[0] for node in document.findall(table)]
    assert len(titles) == 7
    assert any("as the reference code evaluates" in title for title in titles)
    assert "zero-shot (no labels)" in text


def test_the_report_says_where_each_method_was_computed(dataset, options, tmp_path):
    options |= {"methods": ["zero-shot", "probe"], "fractions": [1.0], "seeds": [0, 1]}
    run_benchmark(dataset, tmp_path, **options)
    elsewhere = {"device": "cuda (NVIDIA H200)", "precision": "bf16"}
    for seed, machine in ((0, elsewhere), (1, None)):  # cells of earlier versions name none
        path = tmp_path / "cells" / f"probe_100percent_seed{seed}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": machine}))
    benchmark = run_benchmark(dataset, tmp_path, **options)
    text = write_report(benchmark, tmp_path, figures=False).read_text()
    places = re.findall(r"- Computed on (.+?), with .*: (.+)\.", text)
    assert places[0][0].startswith("cpu (")
    assert places[0][1] == "zero-shot"
    assert places[1:] == [
        ("cuda (NVIDIA H200), bf16", "probe"),
        ("a machine not recorded", "probe"),
    ]


def test_a_data_set_that_says_nothing_of_itself_has_its_name(dataset, options, tmp_path):
    silent = replace(dataset, name="mine", about={})
    only = {"methods": ["zero-shot"], "fractions": [1.0], "seeds": [0], "model": options["model"]}
    path = write_report(run_benchmark(silent, tmp_path, **only), tmp_path, figures=False)
    assert "- Data: mine, 40 images" in path.read_text()


def test_a_draw_may_miss_the_whole_test_part_of_a_seed(dataset, options, tmp_path):
    """With 4 of 20 galaxies a seed, one draw in a hundred does."""
    some = np.r_[:10, 20:30]
    parts = {name: getattr(dataset, name)[some] for name in ("images", "ids", "targets")}
    only = {"methods": ["zero-shot"], "fractions": [1.0], "seeds": range(5)}
    benchmark = run_benchmark(replace(dataset, **parts), tmp_path, **only, model=options["model"])
    write_report(benchmark, tmp_path, figures=False)
    (result,) = json.loads((tmp_path / "report.json").read_text())["results"]
    for name in ("accuracy", "macro_f1"):
        low, high = result["scores"][name]["interval_95"]
        assert 0 <= low <= result["scores"][name]["mean"] <= high <= 1


def test_kept_probabilities_give_the_scores(dataset, options, tmp_path):
    options |= {"methods": ["probe"], "fractions": [1.0], "seeds": [0]}
    benchmark = run_benchmark(dataset, tmp_path, **options)
    (cell,) = benchmark.over_seeds("probe", 1.0)
    assert cell.probabilities.dtype == np.float32
    accuracy = np.mean(cell.probabilities.argmax(axis=1) == benchmark.targets(cell))
    assert cell.results["metrics"]["accuracy"] == pytest.approx(accuracy)
    assert set(cell.ids.tolist()) == set(benchmark.splits[0].test)


def test_cells_of_other_settings_are_refused_or_computed_again(dataset, options, tmp_path):
    options |= {"methods": ["scratch"], "fractions": [1.0], "seeds": [0]}
    run_benchmark(dataset, tmp_path, **options)
    other = options | {"supervised": replace(options["supervised"], learning_rate=0.01)}
    with pytest.raises(InputError, match=r"other settings \(supervised differ\).*--restart"):
        run_benchmark(dataset, tmp_path, **other)
    (cell,) = run_benchmark(dataset, tmp_path, restart=True, **other).over_seeds("scratch", 1.0)
    assert run_benchmark(dataset, tmp_path, **other).cells
    assert cell.results["settings"]["supervised"]["learning_rate"] == 0.01
    images = dataset.images.copy()
    images[0] += 1
    with pytest.raises(InputError, match=r"other settings \(data differ\)"):
        run_benchmark(replace(dataset, images=images), tmp_path, **other)
    cell.path.write_text("{}")
    with pytest.raises(InputError, match="is no cell"):
        run_benchmark(dataset, tmp_path, **other)


def test_a_fit_of_other_settings_is_refused(dataset, options, tmp_path, monkeypatch):
    """A version that fine-tunes otherwise does not take an older one's cells for its own."""
    options |= {"methods": ["finetune"], "fractions": [0.1], "seeds": [0]}
    run_benchmark(dataset, tmp_path, **options)
    assert run_benchmark(dataset, tmp_path, **options).cells
    other = replace(METHODS["finetune"], settings=lambda: FineTuning(rate=1e-5))
    monkeypatch.setitem(METHODS, "finetune", other)
    with pytest.raises(InputError, match=r"other settings \(fit differ\)"):
        run_benchmark(dataset, tmp_path, **options)


def test_supervised_cells_outlive_the_weights(dataset, options, tmp_path, make_tiny_encoder):
    """A model trained anew has the same tower: only what depends on its weights is refused."""
    encoder = make_tiny_encoder()
    with torch.no_grad():
        encoder.network.logit_scale += 0.1
    write_checkpoint(tmp_path / "anew", encoder)
    anew = replace(options["model"], model=str(tmp_path / "anew"))
    options |= {"methods": ["scratch", "probe"], "fractions": [1.0], "seeds": [0]}
    first = run_benchmark(dataset, tmp_path / "out", **options)
    (scratch,) = first.over_seeds("scratch", 1.0)
    before = scratch.path.stat().st_mtime_ns
    run_benchmark(dataset, tmp_path / "out", **options | {"methods": ["scratch"], "model": anew})
    assert scratch.path.stat().st_mtime_ns == before
    with pytest.raises(InputError, match=r"other settings \(model differ\)"):
        run_benchmark(dataset, tmp_path / "out", **options | {"methods": ["probe"], "model": anew})


def test_a_row_may_see_images_of_its_own_size(dataset, options, tmp_path):
    rows = ["scratch+24px", "timm:test_resnet@random+40px", "scratch", "reference+40px"]
    options |= {"methods": rows, "fractions": [1.0], "seeds": [0]}
    benchmark = run_benchmark(dataset, tmp_path, **options)
    small, other, usual, tuned = (benchmark.over_seeds(row, 1.0)[0] for row in rows)
    assert tuned.results["settings"]["model"]["size"] == 40
    assert not np.array_equal(small.probabilities, usual.probabilities)
    for cell, size in ((small, 24), (other, 40)):
        settings = cell.results["settings"]
        assert settings["model"]["size"] == settings["model"]["vision_cfg"]["image_size"] == size
        assert settings["data"] == dataset.held_at(held_size(size)).fingerprint()
    assert usual.results["settings"]["data"] == dataset.fingerprint()


def test_a_row_of_another_size_changes_no_other(dataset, options, tmp_path):
    """Cells share the model: whoever wants another size has a copy."""
    options |= {"fractions": [0.5, 1.0], "seeds": [0]}
    rows = ["scratch+24px", "timm:test_resnet@random+24px", "probe", "scratch"]
    beside = run_benchmark(dataset, tmp_path / "beside", **options | {"methods": rows})
    alone = run_benchmark(dataset, tmp_path / "alone", **options | {"methods": rows[2:]})
    for row, fraction in itertools.product(rows[2:], options["fractions"]):
        (a,), (b,) = (found.over_seeds(row, fraction) for found in (beside, alone))
        np.testing.assert_array_equal(a.probabilities, b.probabilities)
        assert a.results["settings"] == b.results["settings"]


def test_a_data_set_that_changed_meanwhile_is_refused(dataset, options, tmp_path):
    changing = replace(dataset, reader=lambda size: replace(dataset, ids=dataset.ids[::-1]))
    with pytest.raises(InputError, match="was changed while it was read"):
        run_benchmark(changing, tmp_path, **options | {"methods": ["scratch+24px"]})


def test_a_cell_that_was_killed_between_its_files_is_not_finished(tmp_path, monkeypatch):
    """Old scores beside new probabilities would be a mixture of two runs."""
    cell = Cell(tmp_path, "probe", 1.0, 0)
    cell.write({"views": 1}, ["a"], np.array([[1.0, 0.0]]), {})
    with monkeypatch.context() as patch:
        patch.setattr("gmc_astro.evaluation.cells.write_json", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cell.write({"views": 2}, ["a"], np.array([[0.0, 1.0]]), {})
    assert not Cell(tmp_path, "probe", 1.0, 0).finished({"views": 1})


def test_one_test_part_says_nothing_of_the_chance_of_another(dataset, options, tmp_path):
    official = replace(dataset, test_ids=tuple(dataset.ids[::3].tolist()))
    options |= {"methods": ["zero-shot", "probe"], "fractions": [1.0]}
    benchmark = run_benchmark(official, tmp_path / "out", **options)
    report = json.loads(
        (write_report(benchmark, tmp_path / "out").with_name("report.json")).read_text()
    )
    (pair,) = report["paired"]
    assert pair["macro_f1_t"]["p"] is pair["accuracy_t"]["statistic"] is None
    assert 0 <= pair["mcnemar"]["p"] <= 1


def test_more_methods_and_fractions_go_into_the_same_folder(dataset, options, tmp_path):
    options |= {"methods": ["probe"], "fractions": [1.0], "seeds": [0]}
    run_benchmark(dataset, tmp_path, **options)
    before = (tmp_path / "cells" / "probe_100percent_seed0.json").stat().st_mtime_ns
    options |= {"methods": ["probe", "zero-shot"], "fractions": [0.5, 1.0], "seeds": [0, 1]}
    run_benchmark(dataset, tmp_path, **options)
    assert (tmp_path / "cells" / "probe_100percent_seed0.json").stat().st_mtime_ns == before
    assert len(list((tmp_path / "cells").glob("*.npz"))) == 4 + 2


def test_training_images_are_looked_at_before_the_work(dataset, options, tmp_path):
    with pytest.raises(InputError, match="no training image can be read"):
        run_benchmark(dataset, tmp_path, training_images=["/nowhere.png"], **options)
    assert not list((tmp_path / "cells").glob("*.json"))


def test_leakage_is_found(dataset):
    found = check_leakage(dataset, dataset.images[5:7])
    assert set(dataset.ids[5:7].tolist()) <= set(found["alike"])
    assert found["smallest_bits"] == 0
    noise = np.random.default_rng(0).integers(0, 255, (3, 48, 48, 3), dtype=np.uint8)
    assert check_leakage(dataset, noise)["alike"] == []


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.fit in FIT_METHODS])
def test_every_fit_is_a_row(name):
    assert find_row(name).method is METHODS[name]


def test_rows_as_they_are_written():
    row = find_row("convnext:convnext_atto@random")
    assert (row.name, row.weights) == ("convnext_atto", "random")
    assert find_row("convnext").name == "convnext_base"
    assert find_row("zoobot:convnext_nano").weights == "hub"
    assert find_row("clip").weights == "openai"
    assert find_row("finetune+96px").size == 96
    row = find_row("timm:resnet18@random+64px")
    assert (row.name, row.weights, row.size) == ("resnet18", "random", 64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("finetuning", "is not one of zero-shot, probe"),
        ("probe:resnet18", "takes no name of a network"),
        ("timm", "needs the name of a network"),
        ("probe+96px", r"takes the model's size; leave out \+96px"),
        ("scratch+0px", "is not one of"),
    ],
)
def test_wrong_rows(text, message):
    with pytest.raises(InputError, match=message):
        find_row(text)


def test_a_fit_that_is_not_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr("gmc_astro.evaluation.methods.FIT_METHODS", ("probe",))
    with pytest.raises(InputError, match="fit has no method 'finetune', only probe"):
        find_row("finetune")


def test_names_of_cells_differ_where_weights_do(tmp_path):
    names = {
        Cell(tmp_path, row, 0.01, 0).name
        for row in ("timm:resnet18@/a/w.pt", "timm:resnet18@/b/w.pt", "timm:resnet18")
    }
    assert len(names) == 3
    assert "timm-resnet18_1percent_seed0" in names


def test_weights_in_a_folder_are_known_by_what_they_are(tmp_path):
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"one")
    row = find_row(f"zoobot:resnet18@{tmp_path}")
    before = row.to_dict()
    assert str(tmp_path) not in before["weights"]
    assert row.to_dict() == before
    weights.write_bytes(b"two")
    assert row.to_dict() != before


def test_nothing_to_run_is_refused(dataset, tmp_path):
    with pytest.raises(InputError, match="at least one method"):
        run_benchmark(dataset, tmp_path, methods=[])
    with pytest.raises(InputError, match="fraction 3"):
        run_benchmark(dataset, tmp_path, methods=["probe"], fractions=[3.0])


def test_zoobot_and_clip_rows_from_local_files(dataset, options, tmp_path, tiny_folder):
    """The real paths of both, with random weights where the real ones would be downloaded."""
    import torch

    from gmc_astro.models import timm_tower

    torch.save(timm_tower("test_resnet", classes=9).state_dict(), tmp_path / "encoder.pt")
    options |= {"fractions": [1.0], "seeds": [0]}
    options["methods"] = [f"zoobot:test_resnet@{tmp_path / 'encoder.pt'}"]
    benchmark = run_benchmark(dataset, tmp_path / "out", **options)
    (cell,) = benchmark.over_seeds(options["methods"][0], 1.0)
    assert str(tmp_path) not in json.dumps(cell.results["settings"])


def test_a_model_without_weights_is_a_sentence(dataset, tmp_path):
    with pytest.raises(InputError, match="needs weights="):
        run_benchmark(dataset, tmp_path, methods=["probe"], model=ModelOptions("ViT-B-16"))
