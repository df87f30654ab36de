"""The mathematics of experiments: pure sums, without Django, a database or a clock.

assigning   who gets which arm, re-runnable by anybody from the roster and the seed
shares      intervals of shares and of their differences
exact       p-values that hold at any size: Fisher, mid-p, the design's own re-randomisation
looks       how the error is spread over the looks, and the level at each
evalues     evidence that may be looked at at any moment
srm         whether the arms have the sizes that they should have
verdicts    what is concluded, and what would change it
power       what an audience can show, before anything is sent

docs/experiments.md says what is promised and what was measured.
"""
