"""The conformance suite: whether a backend does what the core, and a program under probes, expect.

`run` is the command's; `plugin` makes a pytest plugin of it. The tests are in one file per level.
Beyond the base it needs pytest and hypothesis, the extra `conformance`.
"""
