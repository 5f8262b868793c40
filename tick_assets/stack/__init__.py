"""The embedded stack: real servers from package registries, started and stopped as one, without root or containers.

Where do I go to…?
- download what Java needs → `artifacts` (what), `provision` (how)
- the generated secrets and keys → `secrets`
- the variables that every process needs → `environment`
- what a service is → `service`; one module per server → `services/`
- processes: whose they are, starting and ending them → `processes`
- start, stop, state → `supervisor`
- is this machine fit → `doctor`

Imports `tick_assets.settings` only; the rest of the pipeline never imports the stack.
"""
