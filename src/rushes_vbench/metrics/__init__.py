"""Own scoring by the rules of VBench-2.0: eighteen metrics, each a sampler, models behind Protocols, and pure rules.

Two profiles: `compat` does what the official code does, `fixed` repairs its known defects. A clip that cannot be scored
is `Unscored` with its reason; nothing is made up. Submodules are imported by name, so that nothing heavy is loaded:
`scorer` (one clip, all metrics), `folder` (files), `aggregate` (dimension scores), `measurer` (the role and its Spec),
`models` (the Protocols).
"""
