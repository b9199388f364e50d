"""Fixtures: servers with a fake pipeline."""

from tests.service.servers import heeds_ctrl_c, server, start_server

__all__ = ["heeds_ctrl_c", "server", "start_server"]
