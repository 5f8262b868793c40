"""Assets, one file per stage: an asset reads its context, calls domain and adapters, and returns what it made as metadata.

Where do I go to…?
    fetch, replicate, load raw ticks            `raw`
    clean, features, labels                     `silver`
    bars of the clean ticks                     `bars`
    gold views by dbt                           `gold`
    the state of the data as a page             `data_report`
    pin a training set                          `datasets`
    search, validate, test, walk forward        `models`
    the simulated terminal's backtest, verdict  `backtests`
    deploy                                      `deployment`
    signals and orders as tables                `evidence`
    upkeep of the lake, what runs cost          `maintenance`
    what every materialization reports          `reporting`
"""
