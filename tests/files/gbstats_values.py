"""Values of GrowthBook's own statistics, for tests/test_experiments_gbstats.py to compare with.

gbstats asks for an older numpy and pandas than this project uses, so it runs in an environment of its own:

    python3.11 -m venv /tmp/gbstats && /tmp/gbstats/bin/pip install gbstats==0.8.0
    /tmp/gbstats/bin/python tests/files/gbstats_values.py > tests/files/gbstats.json
"""

import json
import sys
from importlib.metadata import version
from itertools import product

from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import ProportionStatistic
from gbstats.utils import check_srm

COUNTS = [(10, 70, 21, 70), (8, 57, 22, 57), (150, 1000, 201, 987), (20034, 44700, 20119, 45489), (3, 40, 9, 33)]
ARMS = [((44700, 45489), (1, 1)), ((70, 90), (1, 1)), ((900, 1100, 3000), (1, 1, 3)), ((30000, 31200), (0.5, 0.5))]


def main() -> None:
    sequences = []
    for (k1, n1, k2, n2), expected, alpha in product(COUNTS, (140, 5000), (0.05, 0.01)):
        config = SequentialConfig(alpha=alpha, difference_type="absolute", sequential_tuning_parameter=expected)
        # gbstats reports the second less the first; ours is the first less the second.
        test = SequentialTwoSidedTTest(ProportionStatistic(n=n2, sum=k2), ProportionStatistic(n=n1, sum=k1), config)
        low, high = test.confidence_interval
        sequences.append([[k1, n1, k2, n2], expected, 1 - alpha, [float(low), float(high), float(test.p_value)]])
    versions = {name: version(name) for name in ("gbstats", "numpy", "scipy", "pandas")}
    json.dump(
        {
            "versions": versions,
            "srm": [[counts, weights, float(check_srm(counts, weights))] for counts, weights in ARMS],
            "sequences": sequences,
        },
        sys.stdout,
        indent=1,
    )
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
