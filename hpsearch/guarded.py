"""Imported first by a command: from here on, this process imports nothing from the working directory."""

from hpsearch import safe_path

safe_path.forget_working_directory()
