"""More ways to say each answer: what people may type who never read a caption.

The plain captions say an answer in three to six ways; a text tower that reads no others does not
know what "spherical" means. The longer lists here are for its second training, when the image
tower already stands (see `~gmc_astro.learning.PretrainSettings`).
"""

from __future__ import annotations

from gmc_astro.morphology.phrases import OPENINGS, PHRASES

__all__ = ["VARIED_OPENINGS", "VARIED_PHRASES"]

#: What a caption may begin with.
VARIED_OPENINGS = (
    *OPENINGS,
    "a photo of ",
    "a photograph of ",
    "the image shows ",
    "a telescope image of ",
    "the object is ",
    "here we see ",
)

_MORE: dict[tuple[str, str], tuple[str, ...]] = {
    ("smooth_or_features", "smooth"): (
        "an elliptical",
        "an early-type elliptical",
        "a spheroidal galaxy",
        "a featureless galaxy",
        "a smooth galaxy with no structure",
        "a plain smooth galaxy",
        "a smooth blob of light",
        "a galaxy with a smooth light profile",
        "a red elliptical galaxy",
        "an old passive galaxy without features",
    ),
    ("smooth_or_features", "features_or_disk"): (
        "a galaxy with structure",
        "a galaxy that shows features",
        "a disk",
        "a late-type galaxy",
        "a star-forming disk galaxy",
        "a galaxy with visible structure in its disk",
    ),
    ("smooth_or_features", "star_or_artifact"): (
        "a star",
        "a satellite trail",
        "a bad frame",
        "a defect of the image",
        "a foreground star with diffraction spikes",
        "a frame of noise and no galaxy",
        "a broken image",
    ),
    ("edgeon", "yes"): (
        "an edge on galaxy",
        "a disk viewed edge on",
        "a disk viewed from its edge",
        "a highly inclined disk",
        "a thin flat disk in profile",
        "a needle-like disk",
        "a side view of a disk galaxy",
        "a disk galaxy seen sideways",
        "a galaxy whose disk is seen from the side",
        "a thin line of light from an edge-on disk",
    ),
    ("edgeon", "no"): ("face-on", "viewed face-on", "seen from above", "a disk seen face-on"),
    ("bar", "bar"): (
        "a barred disk",
        "showing a bar",
        "with a straight bar across the centre",
        "with a stellar bar",
        "with an elongated bar in the middle",
    ),
    ("bar", "no_bar"): ("lacking a bar", "a disk without a bar", "with no bar in the centre"),
    ("spiral", "spiral"): (
        "a disk with arms",
        "with winding arms",
        "with spiral structure",
        "with visible spiral arms",
        "a whirlpool-like galaxy",
        "a pinwheel-shaped galaxy",
        "a late-type spiral",
        "a swirling galaxy with arms",
        "a galaxy whose arms curl around the centre",
        "a galaxy with blue star-forming arms",
    ),
    ("spiral", "no_spiral"): (
        "showing no arms",
        "without spiral structure",
        "a galaxy without arms",
        "lacking spiral arms",
        "a lenticular galaxy without arms",
    ),
    ("bulge_prominence", "no_bulge"): ("with no bulge", "lacking a bulge", "a pure disk"),
    ("bulge_prominence", "just_noticeable"): ("with a weak bulge", "with a faint small bulge"),
    ("bulge_prominence", "obvious"): ("with a clear bulge", "with a bright central bulge"),
    ("bulge_prominence", "dominant"): ("with a very large bulge", "a bulge-dominated galaxy"),
    ("odd", "yes"): ("looking strange", "peculiar", "a peculiar galaxy"),
    ("odd", "no"): ("looking ordinary", "a normal galaxy"),
    ("rounded", "completely_round"): (
        "a round galaxy",
        "perfectly round",
        "spherical in shape",
        "shaped like a ball",
        "with a circular shape",
        "a circular galaxy",
        "round with no elongation",
        "of E0 shape",
    ),
    ("rounded", "in_between"): (
        "an oval galaxy",
        "moderately elongated",
        "shaped like an egg",
        "somewhat flattened",
        "slightly elongated",
        "ellipsoidal in shape",
        "neither round nor very elongated",
        "with an oval shape",
        "of E4 shape",
    ),
    ("rounded", "cigar_shaped"): (
        "a cigar-shaped galaxy",
        "long and thin",
        "strongly elongated",
        "narrow and elongated",
        "spindle-shaped",
        "highly flattened",
        "stretched like a cigar",
        "of E7 shape",
    ),
    ("odd_feature", "ring"): (
        "a galaxy surrounded by a ring",
        "with a bright ring around the centre",
        "ring-shaped",
        "showing a ring structure",
    ),
    ("odd_feature", "lens_or_arc"): ("with a gravitational arc", "a strong lens"),
    ("odd_feature", "disturbed"): (
        "with a distorted shape",
        "tidally disturbed",
        "with tidal tails",
    ),
    ("odd_feature", "irregular"): ("without a regular shape", "an irregular dwarf galaxy"),
    ("odd_feature", "merger"): (
        "two colliding galaxies",
        "a collision of galaxies",
        "a galaxy merging with a companion",
        "interacting galaxies",
        "a galaxy merger",
    ),
    ("odd_feature", "dust_lane"): ("with a dark band of dust", "cut by a dark dust lane"),
    ("bulge_shape", "rounded"): ("a side-on disk with a central bulge",),
    ("bulge_shape", "no_bulge"): ("a thin bulgeless disk from the side",),
    ("arms_winding", "tight"): ("with tight arms", "with closely wound spiral arms"),
    ("arms_winding", "medium"): ("with arms neither tight nor loose",),
    ("arms_winding", "loose"): ("with open arms", "with widely opened spiral arms"),
    ("arms_number", "1"): ("with a single arm", "a one-armed spiral"),
    ("arms_number", "2"): ("with two arms", "a two-armed spiral", "a grand design spiral"),
    ("arms_number", "3"): ("with three arms", "a three-armed spiral"),
    ("arms_number", "4"): ("with four arms", "a four-armed spiral"),
    ("arms_number", "more_than_4"): ("with many arms", "a many-armed spiral"),
    ("handedness", "clockwise"): ("spiralling clockwise", "with clockwise arms"),
    ("handedness", "anticlockwise"): ("spiralling anticlockwise", "with anticlockwise arms"),
}

#: Phrases of each (question, answer): the plain ones and more.
VARIED_PHRASES: dict[tuple[str, str], tuple[str, ...]] = {
    pair: phrases + _MORE.get(pair, ()) for pair, phrases in PHRASES.items()
}
