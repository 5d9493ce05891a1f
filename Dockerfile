# Two stages, so that the image holds what serves and nothing that builds. The root file system may be read-only:
#   docker run --read-only --tmpfs /tmp --shm-size 16m -v matmon:/data -m 512m -p 8000:8000 matmon
FROM python:3.11-slim AS build
ARG SEMANTIC_MODEL=e5-small
ARG MODEL_ARCHIVE_URL=
ARG MODEL_ARCHIVE_SHA256=
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
COPY requirements.txt requirements-e5.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY . .
RUN scripts/model_for_host.sh && mkdir -p models && python -m compileall -q .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home matmon && mkdir /data && chown matmon /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 INSTANCE_DIR=/data HOST=0.0.0.0 PORT=8000
USER matmon
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/livez', timeout=4)"]
# SQLite's tables are made or brought up to date by hand: docker run … matmon flask --app app db upgrade
CMD ["gunicorn", "-c", "gunicorn.conf.py", "app:app"]
