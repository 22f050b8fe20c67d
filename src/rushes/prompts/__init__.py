"""Prompts: ordered (`briefs`), written (`write`, `fixed`), taken from real clips (`captions`), and screened (`screen`)."""
