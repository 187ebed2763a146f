# The production image: web, worker and beat are the same image with another command (docker-compose.yml).
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

# First the packages: they change less often than the code.
COPY requirements.txt .
RUN pip install --require-hashes --requirement requirements.txt

COPY . .
# Static files get their hashed names at build. The values are for this command only and never reach the image.
RUN SECRET_KEY=only-for-collectstatic DEBUG=False DATABASE_URL=postgres://build/build REDIS_URL=redis://build \
    python manage.py collectstatic --noinput --verbosity 0 \
    && useradd --system --home-dir /app --no-create-home agdar \
    && mkdir -p var \
    && chown agdar:agdar var

USER agdar
EXPOSE 8000
CMD ["gunicorn", "agdar.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--workers", "2", "--threads", "8", "--worker-tmp-dir", "/dev/shm", "--no-control-socket"]
