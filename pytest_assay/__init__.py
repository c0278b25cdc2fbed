"""Golden prompts as pytest's tests: `pytest --assay SUITE`.

A package of its own, and not a module of `tui`: pytest imports it at every start in the environment, in whatever
folder, so that it must import nothing of the program, nor be taken for a folder of the user's that has the same name.
All that it knows comes from `assay golden list --json` and `assay golden run --json`, each a process of its own.
"""
