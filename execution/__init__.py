"""The trader: signals become orders, at most one deal each, through one terminal port.

Where do I go to...?
    read contract specifications and costs    market.py, market.toml
    see what an order, fill or position is    orders.py
    see what the signal service sends         signals.py, service_client.py
    decide whether an order may be sent       risk.py, sizing.py
    see how an order is sent once only        engine.py, journal.py, reconciliation.py
    talk to a terminal                        ports.py, adapters/mt5/
    replay a date without a service           simulate.py

What must not live here: any import of `tick_assets` or `serving`. The package installs alone on the host that runs MetaTrader 5.
"""
