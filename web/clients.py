"""Who a client is: an IPv4 address, or the /64 network of an IPv6 address."""

from __future__ import annotations

import ipaddress

from flask import request

NETWORK_BITS = 64  # what a provider gives to one customer, who may use any address in it
LONGEST_ADDRESS = 45


def client() -> str:
    """Return the name under which the current request's client is counted and logged."""
    return network_of(request.remote_addr or "127.0.0.1")


def network_of(text: str) -> str:
    """Return the network of an address, which a proxy may have written with brackets, a zone or a port."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return text.encode("ascii", "backslashreplace").decode()[:LONGEST_ADDRESS]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, NETWORK_BITS), strict=False))
