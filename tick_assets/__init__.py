"""The pipeline: see the package docstrings of `domain`, `lakehouse`, `tracking`, `stack` and `cli`."""
