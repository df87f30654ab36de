"""Read by gunicorn wherever it is started in this folder: no log of it holds what opens a letter."""

logger_class = "renewal.weblog.Logger"
