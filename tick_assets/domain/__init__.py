"""The domain: pure functions and values (numpy, numba, scipy, polars, xgboost, optuna, arch); no I/O, no framework.

Where do I go to…?
    add a feature, or see what each one means                     `features`
    change what a quote must be to count                          `cleaning`
    change when an event is sampled                               `clocks`
    change how they run together, tick by tick and in batch       `kernel` (over `kernel_state`, `leaders`)
    change how a trade is filled, in labels and backtests alike   `fills`
    change labels                                                 `labels`
    change what the service says about an event                   `signals`
    read contract specifications and costs                        `instruments`, `costs`, `draws`
    join what was known at a moment                               `asof`
    know when a market is open                                    `market_calendar`
    trade several symbols in one account, with swap and limits    `account`, `rollovers`, `session_closes`
    see its equity and exposure, and put them on a page           `equity`, `report_account`
    make a synthetic market                                       `synthetic_market`
    split, search, fit                                            `splits`, `training`, `weights`
    let a killed search go on                                     `trial_logs`
    say what was learned, and show it                             `learning`, `report_learning`
    count who has looked at test dates                            `vault`
    explain a signal, compare a replay with the batch path        `explanation`, `replays`
    measure the gate's own error rate                             `calibration`
    count and sum up ticks for people                             `tick_counting`, `tick_statistics`, `sessions`
    say what is missing, and show it as a page                    `hole_patterns`, `data_answers`, `data_report`
    change how pages look                                         `page`, `charts`
    sign and check a passport                                     `passports`
    find what knows its own future, and say so                    `leak_firewall`, `leakage`, `label_leakage`, `fit_leakage`
    judge                                                         `metrics`, `evaluation`, `gates`, `report`
"""
