"""The way to the provider: a pooled HTTP client that changes nothing it carries.

The only place that knows httpx and aiohttp. Refuses to know what the bytes mean, and what becomes of them here.
"""

from ccproxy.upstream.client import Answer, Limits, Upstream, environment_proxy

__all__ = ["Answer", "Limits", "Upstream", "environment_proxy"]
