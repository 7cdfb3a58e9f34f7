"""The chapters' models on real data sets: ``python -m experiments`` (``make experiments``).

One module an experiment: `fashion_mnist`, `ag_news`, `chnsenticorp`, `snips`, `multi30k`. Each has
a frozen `Config`, and the functions ``load``, ``train``, ``validate``, ``test`` and ``baselines``,
which are what its page in the book shows. `run` calls them, goes on after a kill, and writes the
artefact ``book/experiments/NAME.json``; `artefact` and `fingerprint` say when one is stale.
"""
