"""Prompts: ordered (`briefs`), written (`write`), taken from real clips (`captions`), refused or kept (`screen`)."""
