"""The words of experts: Hubble stages with de Vaucouleurs' bars, and terse terms."""

from __future__ import annotations

from gmc_astro.morphology.tree import DecisionTree

__all__ = ["DISK", "EXPERT_TERMS", "FAMILIES", "STAGES", "type_codes"]

Pair = tuple[str, str]

#: What every type code asserts: a disk that is not seen edge-on.
DISK: tuple[Pair, ...] = (("smooth_or_features", "features_or_disk"), ("edgeon", "no"))

#: How a code begins, by bar.
FAMILIES: dict[Pair, str] = {
    ("bar", "bar"): "SB",
    ("bar", "strong"): "SB",
    ("bar", "weak"): "SAB",
    ("bar", "no_bar"): "SA",
}

#: How the code of a spiral ends, by bulge.
STAGES: dict[Pair, str] = {
    ("bulge_prominence", "dominant"): "a",
    ("bulge_prominence", "obvious"): "b",
    ("bulge_prominence", "just_noticeable"): "c",
    ("bulge_prominence", "no_bulge"): "d",
    ("bulge_size", "dominant"): "a",
    ("bulge_size", "large"): "ab",
    ("bulge_size", "moderate"): "b",
    ("bulge_size", "small"): "c",
    ("bulge_size", "no_bulge"): "d",
}

#: Terms for each (question, answer) outside a code.
EXPERT_TERMS: dict[Pair, tuple[str, ...]] = {
    ("smooth_or_features", "smooth"): ("E", "early type", "elliptical"),
    ("smooth_or_features", "features_or_disk"): ("late type", "disk galaxy"),
    ("smooth_or_features", "star_or_artifact"): ("star or artifact", "no galaxy"),
    ("edgeon", "yes"): ("edge-on disk", "seen edge-on"),
    ("edgeon", "no"): ("not edge-on", "face-on or inclined"),
    ("bar", "bar"): ("barred", "central bar"),
    ("bar", "strong"): ("strongly barred", "strong bar"),
    ("bar", "weak"): ("weakly barred", "weak bar"),
    ("bar", "no_bar"): ("unbarred", "no bar"),
    ("spiral", "spiral"): ("spiral arms", "spiral"),
    ("spiral", "no_spiral"): ("no spiral arms", "armless"),
    ("bulge_prominence", "no_bulge"): ("bulgeless", "no bulge"),
    ("bulge_prominence", "just_noticeable"): ("small bulge", "weak bulge"),
    ("bulge_prominence", "obvious"): ("obvious bulge", "strong bulge"),
    ("bulge_prominence", "dominant"): ("bulge-dominated", "dominant bulge"),
    ("bulge_size", "no_bulge"): ("bulgeless", "no bulge"),
    ("bulge_size", "small"): ("small bulge",),
    ("bulge_size", "moderate"): ("moderate bulge",),
    ("bulge_size", "large"): ("large bulge",),
    ("bulge_size", "dominant"): ("bulge-dominated", "dominant bulge"),
    ("odd", "yes"): ("peculiar", "pec"),
    ("odd", "no"): ("regular", "no peculiarity"),
    ("rounded", "completely_round"): ("round", "circular"),
    ("rounded", "in_between"): ("oval", "moderately flattened"),
    ("rounded", "cigar_shaped"): ("cigar-shaped", "strongly flattened"),
    ("odd_feature", "ring"): ("ring", "ringed"),
    ("odd_feature", "lens_or_arc"): ("lens or arc", "lensed arc"),
    ("odd_feature", "disturbed"): ("disturbed", "disturbed morphology"),
    ("odd_feature", "irregular"): ("Irr", "irregular"),
    ("odd_feature", "other"): ("other peculiarity", "peculiar in another way"),
    ("odd_feature", "merger"): ("merger", "merging system"),
    ("odd_feature", "dust_lane"): ("dust lane", "dust lane present"),
    ("bulge_shape", "rounded"): ("round bulge", "spheroidal bulge"),
    ("bulge_shape", "boxy"): ("boxy bulge", "boxy or peanut bulge"),
    ("bulge_shape", "no_bulge"): ("pure disk", "thin disk with no bulge"),
    ("arms_winding", "tight"): ("tightly wound", "tight winding"),
    ("arms_winding", "medium"): ("moderately wound", "medium winding"),
    ("arms_winding", "loose"): ("loosely wound", "open arms"),
    ("arms_number", "1"): ("one arm", "m=1"),
    ("arms_number", "2"): ("two arms", "m=2"),
    ("arms_number", "3"): ("three arms", "m=3"),
    ("arms_number", "4"): ("four arms", "m=4"),
    ("arms_number", "more_than_4"): ("more than four arms", "multi-armed"),
    ("arms_number", "cant_tell"): ("arms uncountable", "arm count uncertain"),
    ("handedness", "clockwise"): ("clockwise arms",),
    ("handedness", "anticlockwise"): ("anticlockwise arms",),
    ("outline", "round"): ("round isophotes measured", "measured round"),
    ("outline", "in_between"): ("oval isophotes measured", "measured oval"),
    ("outline", "elongated"): ("elongated isophotes measured", "measured elongated"),
    ("merging", "no_merger"): ("undisturbed", "no interaction"),
    ("merging", "minor_disturbance"): ("minor disturbance", "slightly perturbed"),
    ("merging", "major_disturbance"): ("major disturbance", "strongly perturbed"),
    ("merging", "tidal_debris"): ("tidal debris", "tidal features"),
    ("merging", "merger_and_debris"): ("merger with debris", "merger with tidal features"),
    ("merging", "merger"): ("merger", "merging system"),
    ("galaxy_type", "elliptical"): ("E", "early type", "elliptical"),
    ("galaxy_type", "clockwise"): ("S with clockwise arms", "clockwise spiral"),
    ("galaxy_type", "anticlockwise"): ("S with anticlockwise arms", "anticlockwise spiral"),
    ("galaxy_type", "edge_on"): ("edge-on disk", "seen edge-on"),
    ("galaxy_type", "star_or_dont_know"): ("star or unclassified", "no type"),
    ("galaxy_type", "merger"): ("merger", "merging system"),
}


def type_codes(tree: DecisionTree) -> dict[str, tuple[Pair, ...]]:
    """Every type code that can be said of a tree's votes, and what it asserts.

    Parameters
    ----------
    tree : `DecisionTree`
        The tree.

    Returns
    -------
    codes : dict of str to tuple of (question, answer)
        For example ``SBb``; ``Sb`` leaves the bar open and ``SB`` the bulge, ``SA0`` has no
        arms. Empty where the tree does not ask for disks and arms.
    """
    needed = {*DISK, ("spiral", "spiral")}
    if not needed <= set(tree.flat):
        return {}
    bars = [("S", ()), *((FAMILIES[p], (p,)) for p in tree.flat if p in FAMILIES)]
    bulges = [("", ()), *((STAGES[p], (p,)) for p in tree.flat if p in STAGES)]
    codes: dict[str, tuple[Pair, ...]] = {}
    for family, bar in bars:
        codes[f"{family}0"] = (*DISK, *bar, ("spiral", "no_spiral"))
        for stage, bulge in bulges:
            codes[family + stage] = (*DISK, *bar, ("spiral", "spiral"), *bulge)
    return codes
