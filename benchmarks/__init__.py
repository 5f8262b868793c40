"""Benchmarks: our road beside named rivals, each a ratio of one run. `tick bench` runs them; README.md says how to read them.

Where do I go to…?
    add a benchmark              one file here with a `BENCHMARK`, one line in `registry`
    add a rival                  a function among the `SIDES` of the benchmark's file; its packages in rivals.in, then README.md, "Rivals"
    see how a side is run        `side` (inside its process), `turns` (the parent: A B A B, time, memory)
    see how a target is judged   `findings`
    see what counts as a regression  `baseline`; the accepted ratios are in baseline.json
    change the ticks             `market`
    change the servers           `own_stack`

A benchmark's file imports the standard library and this package only at its top: a rival's side runs in an environment without the project.
"""
