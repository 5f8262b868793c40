"""A broker and its terminal in this process, with the module surface of the MetaTrader5 package.

Where do I go to...?
    call it as the package is called         module.py (SimulatedMetaTrader5)
    see the tuples that it answers           answers.py
    see what is refused before it fills      requests.py (RequestDesk)
    see when orders fill and stops trigger   server.py (TradeServer; points and UTC microseconds)
    see what a fill does to the account      account.py (BrokerAccount: positions, swap, equity, margin, stop-out)
    see positions, deals and money           ledger.py, swap.py
    see the clock and the last quotes        tape.py
    see ticks and bars                       history.py
    break it on purpose                      faults.py

Its fills follow the same rules as the pipeline's label kernel and backtest, trade for trade.
"""
