"""llama.cpp and the whole thinking loop in a process of their own, which alone ends with them.

    process   starts a worker, asks it, knows what it died of      remote   a backend in a worker
    serve     what the worker does: a request after another        wire     a line of JSON each way
    serving   an RPC server, which has a process of its own for the same reason

The wire is the event contract, and little else. A request carries all that was said, so the worker
owns nothing that a new one could not make again.
"""
