"""The statistics of the judge: pure functions of counts, valid at every look. They know no store and no rollout.

An e-value is a bet against a claim: where the claim is true it is worth at most 1 on average, at any time one stops to
look. So the chance that it ever reaches 1/alpha is at most alpha (Ville 1939; Ramdas, Grünwald, Vovk and Shafer 2023,
Game-theoretic statistics and safe anytime-valid inference, arXiv:2210.01948). Logarithms are natural throughout.
"""
