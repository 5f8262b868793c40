"""The `tick` command: one module per topic, each registering its commands; heavy imports stay inside the command bodies."""
