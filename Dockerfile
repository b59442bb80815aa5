FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

# Dependencies first: they change seldom. The lock's versions hold; its tools for tests and checks stay out.
COPY pyproject.toml setup.py requirements.lock LICENSE ./
RUN pip install --constraint requirements.lock setuptools \
    && pip install --constraint requirements.lock --no-build-isolation --editable ".[language,notices]"


FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="Pactkeeper" \
      org.opencontainers.image.description="A support contract, running" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN useradd --uid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin pactkeeper \
    && mkdir -p /app/var \
    && chown pactkeeper:pactkeeper /app/var

ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY . .
RUN python -m compileall -q .

USER 10001
VOLUME /app/var

# Alone, a container is the whole of Pactkeeper with the embedded server, for a try on one machine (docker run --network host);
# docker-compose.yml runs the parts against a Temporal server and PostgreSQL.
CMD ["pactkeeper", "up"]
