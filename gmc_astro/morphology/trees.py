"""Galaxy Zoo's decision trees as data, all in one vocabulary.

A question or an answer that means the same has the same short name in every tree, whatever the
published tables call it; `Answer.column` has their name. So words, prompts and votes can be
shared between trees.
"""

from __future__ import annotations

from gmc_astro.morphology.tree import Answer, DecisionTree, Question

__all__ = [
    "GZ1_TREE",
    "GZ2_TREE",
    "GZ_DECALS_DR5_TREE",
    "GZ_DECALS_DR8_TREE",
    "GZ_DECALS_DR12_TREE",
    "LABEL_TREE",
    "TREES",
]


def _answers(rows: str, column: str) -> tuple[Answer, ...]:
    """Read ``number name next`` triples; ``column`` says how the stem is made of the first two."""
    answers = []
    for row in rows.split(";"):
        number, name, leads_to = row.split()
        stem = column.format(number=number, name=name)
        answers.append(Answer(name, None if leads_to == "end" else leads_to, stem))
    return tuple(answers)


# Shares of the answer before that make a question asked, for 10 and for 20 votes (their table 3).
_WILLETT = {
    "edgeon": (0.227, 0.430),
    "bar": (0.519, 0.715),
    "spiral": (0.519, 0.715),
    "bulge_prominence": (0.519, 0.715),
    "rounded": (0.263, 0.469),
    "odd_feature": (0.223, 0.420),
    "bulge_shape": (0.326, 0.602),
    "arms_winding": (0.402, 0.619),
    "arms_number": (0.402, 0.619),
}


def _gz2(number: int, task: str, text: str, rows: str) -> Question:
    stems = f"t{number:02d}_{task}_a{{number}}_{{name}}"
    return Question(task, text, _answers(rows, stems), threshold=_WILLETT.get(task, (0.5, 0.5)))


_GZ2_QUESTIONS = (
    _gz2(
        1,
        "smooth_or_features",
        "Is the galaxy simply smooth and rounded, with no sign of a disk?",
        "01 smooth rounded; 02 features_or_disk edgeon; 03 star_or_artifact end",
    ),
    _gz2(2, "edgeon", "Could this be a disk viewed edge-on?", "04 yes bulge_shape; 05 no bar"),
    _gz2(
        3,
        "bar",
        "Is there a sign of a bar feature through the centre of the galaxy?",
        "06 bar spiral; 07 no_bar spiral",
    ),
    _gz2(
        4,
        "spiral",
        "Is there any sign of a spiral arm pattern?",
        "08 spiral arms_winding; 09 no_spiral bulge_prominence",
    ),
    _gz2(
        5,
        "bulge_prominence",
        "How prominent is the central bulge, compared with the rest of the galaxy?",
        "10 no_bulge odd; 11 just_noticeable odd; 12 obvious odd; 13 dominant odd",
    ),
    _gz2(6, "odd", "Is there anything odd?", "14 yes odd_feature; 15 no end"),
    _gz2(
        7,
        "rounded",
        "How rounded is it?",
        "16 completely_round odd; 17 in_between odd; 18 cigar_shaped odd",
    ),
    _gz2(
        8,
        "odd_feature",
        "Is the odd feature a ring, or is the galaxy disturbed or irregular?",
        "19 ring end; 20 lens_or_arc end; 21 disturbed end; 22 irregular end; 23 other end; "
        "24 merger end; 38 dust_lane end",
    ),
    _gz2(
        9,
        "bulge_shape",
        "Does the galaxy have a bulge at its centre? If so, what shape?",
        "25 rounded odd; 26 boxy odd; 27 no_bulge odd",
    ),
    _gz2(
        10,
        "arms_winding",
        "How tightly wound do the spiral arms appear?",
        "28 tight arms_number; 29 medium arms_number; 30 loose arms_number",
    ),
    _gz2(
        11,
        "arms_number",
        "How many spiral arms are there?",
        "31 1 bulge_prominence; 32 2 bulge_prominence; 33 3 bulge_prominence; "
        "34 4 bulge_prominence; 36 more_than_4 bulge_prominence; 37 cant_tell bulge_prominence",
    ),
)

#: The tree of Galaxy Zoo 2: 11 questions, 37 answers (there is no a35; a38 was added late).
GZ2_TREE = DecisionTree(
    "GZ2", _GZ2_QUESTIONS, "Willett et al. 2013, MNRAS 435, 2835, arXiv:1308.3496"
)


def _decals(campaign: str, name: str, published: str, text: str, rows: str) -> Question:
    """A question of GZ DECaLS; rows are ``published-name name next``."""
    return Question(name, text, _answers(rows, f"{published}-{campaign}_{{number}}"))


def _decals_questions(
    campaign: str, smooth: str, bars: str, bulge: tuple[str, str], counts: str, merging: str
) -> tuple[Question, ...]:
    """The tree that all campaigns share, with what each of them asked in its own way."""
    return (
        _decals(
            campaign,
            "smooth_or_features",
            "smooth-or-featured",
            "Is the galaxy simply smooth and rounded, with no sign of a disk?",
            "smooth smooth rounded; featured-or-disk features_or_disk edgeon; "
            "artifact star_or_artifact end",
        ),
        _decals(
            campaign,
            "edgeon",
            "disk-edge-on",
            "Could this be a disk viewed edge-on?",
            "yes yes bulge_shape; no no bar",
        ),
        _decals(
            campaign,
            "bar",
            "bar",
            "Is there a bar feature through the centre of the galaxy?",
            bars,
        ),
        _decals(
            campaign,
            "spiral",
            "has-spiral-arms",
            "Is there any sign of a spiral arm pattern?",
            f"yes spiral arms_winding; no no_spiral {bulge[0]}",
        ),
        _decals(
            campaign,
            "arms_winding",
            "spiral-winding",
            "How tightly wound do the spiral arms appear?",
            "tight tight arms_number; medium medium arms_number; loose loose arms_number",
        ),
        _decals(
            campaign,
            "arms_number",
            "spiral-arm-count",
            "How many spiral arms are there?",
            "; ".join(f"{row} {bulge[0]}" for row in counts.split("; ")),
        ),
        _decals(
            campaign,
            bulge[0],
            "bulge-size",
            "How prominent is the central bulge, compared with the rest of the galaxy?",
            bulge[1],
        ),
        _decals(
            campaign,
            "rounded",
            "how-rounded",
            "How rounded is it?",
            f"{smooth} completely_round merging; in-between in_between merging; "
            "cigar-shaped cigar_shaped merging",
        ),
        _decals(
            campaign,
            "bulge_shape",
            "edge-on-bulge",
            "Does the galaxy have a bulge at its centre? If so, what shape?",
            "boxy boxy merging; none no_bulge merging; rounded rounded merging",
        ),
        _decals(
            campaign,
            "merging",
            "merging",
            "Is the galaxy currently merging or disturbed?",
            merging,
        ),
    )


def _later_campaign(campaign: str) -> tuple[Question, ...]:
    return _decals_questions(
        campaign,
        smooth="round",
        bars="strong strong spiral; weak weak spiral; no no_bar spiral",
        bulge=(
            "bulge_size",
            "dominant dominant merging; large large merging; moderate moderate merging; "
            "small small merging; none no_bulge merging",
        ),
        counts="1 1; 2 2; 3 3; 4 4; more-than-4 more_than_4; cant-tell cant_tell",
        merging="none no_merger end; minor-disturbance minor_disturbance end; "
        "major-disturbance major_disturbance end; merger merger end",
    )


_DECALS_REFERENCE = "Walmsley et al. 2022, MNRAS 509, 3966, arXiv:2102.08414"

#: The tree of Galaxy Zoo DECaLS on images of DECaLS DR1 and DR2 ("dr12" in its columns).
GZ_DECALS_DR12_TREE = DecisionTree(
    "GZ_DECALS_DR12",
    _decals_questions(
        "dr12",
        smooth="completely",
        bars="yes bar spiral; no no_bar spiral",
        bulge=(
            "bulge_prominence",
            "dominant dominant merging; obvious obvious merging; none no_bulge merging",
        ),
        counts="1 1; 2 2; 3 3; 4 4; more-than-4 more_than_4",
        merging="neither no_merger end; tidal-debris tidal_debris end; "
        "both merger_and_debris end; merger merger end",
    ),
    _DECALS_REFERENCE,
)

#: The tree of Galaxy Zoo DECaLS on images of DECaLS DR5.
GZ_DECALS_DR5_TREE = DecisionTree("GZ_DECALS_DR5", _later_campaign("dr5"), _DECALS_REFERENCE)

#: The tree of Galaxy Zoo on images of DESI Legacy Surveys DR8: that of DR5, in other columns.
GZ_DECALS_DR8_TREE = DecisionTree(
    "GZ_DECALS_DR8",
    _later_campaign("dr8"),
    "Walmsley et al. 2023, MNRAS 526, 4768, arXiv:2309.11425",
)

#: Galaxy Zoo 1: one question with six answers.
GZ1_TREE = DecisionTree(
    "GZ1",
    (
        Question(
            "galaxy_type",
            "What is it: elliptical, a spiral and which way it turns, edge-on, merger?",
            (
                Answer("elliptical", None, "P_EL"),
                Answer("clockwise", None, "P_CW", mirror="anticlockwise"),
                Answer("anticlockwise", None, "P_ACW", mirror="clockwise"),
                Answer("edge_on", None, "P_EDGE"),
                Answer("star_or_dont_know", None, "P_DK"),
                Answer("merger", None, "P_MG"),
            ),
        ),
    ),
    "Lintott et al. 2008, arXiv:0804.4483; Lintott et al. 2011, arXiv:1007.3265",
)

#: Galaxy Zoo 2's questions, the way spiral arms turn (asked by Galaxy Zoo 1), and the outline
#: as measured by photutils. Labels of several sources can be held in votes on this tree.
LABEL_TREE = DecisionTree(
    "labels",
    (
        *_GZ2_QUESTIONS,
        Question(
            "handedness",
            "Which way do the spiral arms turn?",
            (
                Answer("clockwise", mirror="anticlockwise"),
                Answer("anticlockwise", mirror="clockwise"),
            ),
            needs=("spiral", "spiral"),
        ),
        Question(
            "outline",
            "Axis ratio of the outline, measured on the image",
            (Answer("round"), Answer("in_between"), Answer("elongated")),
            measured=True,
        ),
    ),
    "Willett et al. 2013, arXiv:1308.3496; Lintott et al. 2008, arXiv:0804.4483",
)

#: Trees by name: those that come with the package, and those that were registered.
TREES: dict[str, DecisionTree] = {
    tree.name: tree
    for tree in (
        LABEL_TREE,
        GZ2_TREE,
        GZ_DECALS_DR12_TREE,
        GZ_DECALS_DR5_TREE,
        GZ_DECALS_DR8_TREE,
        GZ1_TREE,
    )
}
