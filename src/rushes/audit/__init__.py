"""The judge audit: what the judge says to clips that are known to be wrong, before its scores are trained on."""
