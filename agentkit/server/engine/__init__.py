"""Runs of agents for whoever asks: an assistant's run, a response, a chat completion."""

from .engine import Engine
from .work import Findings, Hit, HostedTool, Work

__all__ = ["Engine", "Findings", "Hit", "HostedTool", "Work"]
