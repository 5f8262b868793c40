"""The signal service: live ticks in, signals out, over HTTP and WebSocket.

Where do I go to…?
    see what starts and in which order                            `__main__`, `app`
    change a default or an address                                `settings`
    change what an event becomes (signal, reasons, close)         `symbol_feed`
    change what happens to an accepted live tick                  `signal_service`
    change which model files are trusted, and why                 `model_bundle`, `model_probe`
    change when models are pulled and swapped                     `model_store`
    change who may call what                                      `security`
    change the shape of an answer or of an error                  `schemas`, `problems`
    add a route                                                   `routes/`, one file per resource
    read what was recorded                                        `recorder` (ticks), `evidence` (signals, executions)

It imports `tick_assets.domain` and nothing else of the pipeline; the pipeline is reached over HTTP and S3.
"""
