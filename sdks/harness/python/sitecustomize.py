"""Loaded into each Python application: no connection leaves this machine."""

import ipaddress
import os
import socket

_connect = socket.socket.connect
_getaddrinfo = socket.getaddrinfo


def _is_loopback(host):
    if host is None or host in ("", "localhost") or str(host).endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse(host):
    with open(os.environ["OUTSIDE_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{host}\n")
    raise OSError(f"The tests allow no connection to {host}")


def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        _refuse(address[0])
    return _connect(self, address)


def getaddrinfo(host, *arguments, **named):
    if isinstance(host, bytes):
        host = host.decode()
    if not _is_loopback(host):
        _refuse(host)
    return _getaddrinfo(host, *arguments, **named)


socket.socket.connect = connect
socket.getaddrinfo = getaddrinfo
