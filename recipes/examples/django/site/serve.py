"""Brings the database up to date, then becomes the server."""

import os
import sys

import django
from django.core.management import call_command

django.setup()
call_command("migrate", verbosity=0)
port, workers = os.environ.get("PORT", "8000"), os.environ.get("WORKERS", "2")
os.execv(
    sys.executable,
    [sys.executable, "-m", "gunicorn", f"--bind=0.0.0.0:{port}", f"--workers={workers}", "application"],
)
