FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN pybabel -q compile -d locale -D django \
 && DATA=/app/.data DATABASE_URL=postgresql://none/none python manage.py collectstatic --noinput
RUN useradd --system renewal && chown -R renewal /app/.data
USER renewal
EXPOSE 8000
CMD ["gunicorn", "renewal.wsgi", "--bind", "0.0.0.0:8000", "--workers", "3", "--timeout", "60"]
