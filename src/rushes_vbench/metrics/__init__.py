"""Own scoring by the rules of VBench-2.0: eighteen metrics, each with a sampler, models behind Protocols, pure rules.

`compat` does what the official code does, `fixed` corrects its known defects. A clip that cannot be scored is
`Unscored` with its reason.
"""
