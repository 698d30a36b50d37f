"""Where clients look for a server when nobody says so."""

from __future__ import annotations

DEFAULT_URL = "http://127.0.0.1:8080"
URL_VARIABLE, KEY_VARIABLE = "TRIO_EXEC_URL", "TRIO_EXEC_API_KEY"
