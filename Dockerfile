# One image for every process of Catalyst; the command decides which one a container is.
FROM python:3.11-slim-bookworm

# git serves clones (`git http-backend`).
RUN apt-get update \
    && apt-get install -y --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 catalyst \
    && install -d -o catalyst -g catalyst /data

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CATALYST_HOME=/data

WORKDIR /app

# Requirements first: they change less often than the code.
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

COPY . .

USER catalyst
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "uvicorn", "catalyst.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "5"]
