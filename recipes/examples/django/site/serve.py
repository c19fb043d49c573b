"""Brings the database up to date, then becomes the server."""

import os
import sys

import django
from django.core.management import call_command

django.setup()
call_command("migrate", verbosity=0)
workers = os.environ.get("WORKERS", "2")
os.execv(
    sys.executable,
    [sys.executable, "-m", "gunicorn", "--bind=0.0.0.0:8000", f"--workers={workers}", "application"],
)
