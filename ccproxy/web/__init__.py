"""What listens: the ASGI application, its outermost guard, the forwarding of `/v1/*`, and the worker process around it."""
