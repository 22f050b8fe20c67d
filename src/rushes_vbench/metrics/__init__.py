"""Own scoring by the rules of VBench-2.0: eighteen metrics, each a sampler, models behind Protocols, and pure rules.

`compat` does what the official code does, `fixed` repairs its known defects; a clip that cannot be scored is `Unscored`
with its reason.
"""
