"""The 2012 logs: results in the comments of the released parameter files, and what was submitted to the challenge.

Errors are fractions, with five or six digits where the paper prints the result itself and four elsewhere. The
schedules of these runs are in `recipes/as_printed_and_run.py` and `recipes/catalog.toml`.
"""

from dataclasses import dataclass

from alexrepro.paper.citation import Citation
from alexrepro.paper.results import TEST_2010, TEST_2012, VAL_2010, VAL_2012, Crops

HELD_OUT_2009 = "fall2009-held-out"
# Configurations whose log is in a parameter file of another name.
FILES = {
    "conv94-2gpu": "inet-5layer-conv94-2gpu", "106b": "106", "137-2010": "137", "141-2009-2010": "141-2009",
    "141-2009-2012": "141-2009", "170-fade": "170", "170-fade-0.15": "170", "178-domax31": "178",
}  # fmt: skip


@dataclass(frozen=True)
class Logged:
    """One evaluation logged in a parameter file; loss is -log p of the true class in nats, None if it was not logged.

    epochs: length of the training, as far as it is logged: `91`, `about 95`, `over 91`. part: what distinguishes two
    results of one configuration.
    """

    config: str
    split: str
    crops: Crops | None
    loss: float | None
    top1_error: float
    top5_error: float
    epochs: str
    part: str = ""

    @property
    def cites(self) -> Citation:
        """The file that holds the log."""
        return Citation(f"layer-params-{FILES.get(self.config, self.config)}.cfg", self.part)


@dataclass(frozen=True)
class Submission:
    """An entry of the challenge of 2012 on the official page: top-5 test error, and networks in the file's name."""

    name: str
    top5_error: float
    members: tuple[str, ...] = ()
    split: str = TEST_2012
    cites: Citation = Citation("official ILSVRC-2012 results page")


LOGGED = (
    # ILSVRC-2010. Images that could not be read are missing from the two on raw pixels: 149,998 are left.
    Logged("conv94-2gpu", TEST_2010, None, None, 0.3811, 0.1761, "90", "147 batches"),
    Logged("98-16kinit", TEST_2010, None, None, 0.3713, 0.1680, "71", "294 batches; began with 16,000 classes"),
    Logged("106b", TEST_2010, None, 1.5942, 0.3706, 0.1667, "93", "raw pixels, 149,998 images"),
    Logged("112", TEST_2010, None, 1.6065, 0.3724, 0.1682, "90", "raw pixels, 149,998 images"),
    Logged("118", TEST_2010, None, 1.6409, 0.3783, 0.1736, "98"),
    Logged("120", TEST_2010, "ten", 1.6347, 0.3785, 0.1724, "106"),
    Logged("137-2010", VAL_2010, "center", 1.7276, 0.3942, 0.1828, "103"),
    Logged("137-2010", VAL_2010, "ten", 1.6329, 0.3780, 0.1710, "103"),
    Logged("137-2010", TEST_2010, "ten", 1.6232, 0.3762, 0.1712, "103"),
    Logged("145-2010", TEST_2010, "ten", 1.6147, 0.374727, 0.169987, "93"),
    Logged("145-2010", TEST_2010, "center", 1.7060, 0.390247, 0.182953, "93"),
    Logged("145-half", TEST_2010, "ten", 1.7028, 0.3917, 0.1823, "96"),
    Logged("141-2009-2010", TEST_2010, None, 1.5117, 0.3567, 0.1549, "54"),
    # Autumn 2009, 10,184 classes.
    Logged("2009-101", HELD_OUT_2009, None, 3.4620, 0.6938, 0.4365, "33"),
    Logged("131-2009", HELD_OUT_2009, None, 3.4663, 0.6942, 0.4373, "36"),
    # ILSVRC-2012, up to the paper.
    Logged("120-2012", VAL_2012, "ten", 1.7652, 0.4104, 0.1871, "95"),
    Logged("131", VAL_2012, "ten", 1.7557, 0.4093, 0.1857, "100"),
    Logged("135", VAL_2012, "ten", 1.7577, 0.4107, 0.1842, "96"),
    Logged("137", VAL_2012, "ten", 1.7511, 0.4078, 0.1834, "99"),
    Logged("145", VAL_2012, "ten", 1.7415, 0.40664, 0.18210, "91"),
    Logged("145", VAL_2012, "ten", 1.7257, 0.4025, 0.1799, "135", "continued"),
    Logged("141-2009-2012", VAL_2012, "ten", 1.6713, 0.3956, 0.1721, "54"),
    Logged("141-2009-2012", VAL_2012, "center", 1.7791, 0.4159, 0.1868, "54"),
    Logged("146-2012-2009", VAL_2012, "ten", 1.6465, 0.3910, 0.1688, "52"),
    Logged("146-2012-2011", VAL_2012, "ten", 1.6332, 0.38990, 0.16622, "54"),
    Logged("147", VAL_2012, "ten", 1.7576, 0.4106, 0.1851, "90"),
    Logged("148", VAL_2012, "ten", 1.8224, 0.4203, 0.1936, "97"),
    Logged("150", VAL_2012, "ten", 1.8112, 0.4183, 0.1933, "92"),
    # ILSVRC-2012, after the paper: other schedules of 145.
    Logged("155", VAL_2012, "center", 1.8619, 0.4265, 0.1997, "about 95"),
    Logged("155", VAL_2012, "ten", 1.7501, 0.4074, 0.1852, "about 95"),
    Logged("156", VAL_2012, "center", 1.8703, 0.4289, 0.1983, "about 95"),
    Logged("156", VAL_2012, "ten", 1.7512, 0.4076, 0.1835, "about 95"),
    Logged("157", VAL_2012, "center", 1.8805, 0.4312, 0.2033, "about 95"),
    Logged("157", VAL_2012, "ten", 1.7677, 0.4111, 0.1870, "about 95"),
    Logged("158", VAL_2012, "center", 1.8627, 0.4289, 0.1999, "about 95"),
    Logged("158", VAL_2012, "ten", 1.7572, 0.4103, 0.1854, "about 95"),
    Logged("160", VAL_2012, "center", 1.8842, 0.4339, 0.2055, "about 95"),
    Logged("160", VAL_2012, "ten", 1.7892, 0.4137, 0.1904, "about 95"),
    Logged("162", VAL_2012, "center", 1.8945, 0.4385, 0.2079, "about 95"),
    Logged("163", VAL_2012, "center", 1.8491, 0.4291, 0.1991, "about 95"),
    Logged("165", VAL_2012, "center", 1.8479, 0.4278, 0.1985, "about 95"),
    Logged("165", VAL_2012, "ten", 1.7572, 0.4098, 0.1839, "about 95"),
    Logged("166", VAL_2012, "center", 1.8631, 0.4286, 0.2010, "about 95"),
    Logged("166", VAL_2012, "ten", 1.7681, 0.4110, 0.1867, "about 95"),
    Logged("167", VAL_2012, "center", 1.8518, 0.4268, 0.1976, "about 95"),
    Logged("167", VAL_2012, "ten", 1.7387, 0.4049, 0.1812, "about 95"),
    Logged("169", VAL_2012, "center", 1.8412, 0.4253, 0.1955, "about 95"),
    Logged("169", VAL_2012, "ten", 1.7351, 0.4060, 0.1811, "about 95"),
    Logged("169", VAL_2012, "center", 1.8663, 0.4298, 0.2002, "80", "in 80 epochs"),
    Logged("170", VAL_2012, "center", 1.8389, 0.4234, 0.1958, "about 95"),
    Logged("170", VAL_2012, "ten", 1.7301, 0.4053, 0.1805, "about 95"),
    Logged("170-fade", VAL_2012, "center", 1.8317, 0.4229, 0.1953, "about 95"),
    Logged("170-fade", VAL_2012, "ten", 1.7261, 0.4025, 0.1812, "about 95"),
    Logged("170-fade-0.15", VAL_2012, "center", 1.8362, 0.4250, 0.1964, "about 95"),
    Logged("170-256-double", VAL_2012, "center", 1.8406, 0.4227, 0.1966, "84"),
    Logged("170-quant", VAL_2012, "center", 1.8611, 0.4257, 0.2000, "about 95"),
    Logged("170-quant", VAL_2012, "ten", 1.7498, 0.4052, 0.1842, "about 95"),
    Logged("171", VAL_2012, "center", 1.8437, 0.4234, 0.1977, "about 95"),
    Logged("171", VAL_2012, "ten", 1.7354, 0.4042, 0.1814, "about 95"),
    Logged("174", VAL_2012, "center", 1.8251, 0.4252, 0.1939, "86"),
    Logged("174", VAL_2012, "ten", 1.7300, 0.4044, 0.1804, "86"),
    Logged("175", VAL_2012, "center", 1.8426, 0.4252, 0.1949, "over 91"),
    Logged("177", VAL_2012, "center", 1.8363, 0.4244, 0.1971, "about 95"),
    Logged("177", VAL_2012, "ten", 1.7444, 0.4069, 0.1830, "about 95"),
    Logged("178-domax31", VAL_2012, "center", 1.8450, 0.4240, 0.1970, "about 95"),
)

# The files' names list the networks that were averaged; 146.2009 and 146.2011 are logged as 146-2012-2009 and -2011.
SUPPLIED_DATA = Submission("supplied data", 0.16422, ("131", "137", "145", "135", "145f"))
EXTRA_DATA = Submission("extra data", 0.15315, ("141", "146.2009", "131", "137", "145", "146.2011", "145f"))
SECOND_BEST = Submission("second-best entry", 0.26172)
SUBMISSIONS = (SUPPLIED_DATA, EXTRA_DATA, SECOND_BEST)


def logged(config: str, *, split: str | None = None, crops: Crops = "ten") -> Logged:
    """The logged result of a configuration on a split, by default the first one logged; never of a continued run.

    Raises KeyError if there is none.
    """
    found = [
        entry
        for entry in LOGGED
        if (entry.config, entry.crops) == (config, crops) and entry.split == (split or entry.split) and not entry.part
    ]
    if not found:
        raise KeyError(config, split, crops)
    return found[0]
