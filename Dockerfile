# The proxy in a container: everything by environment, captures in the volume /data, nobody's privileges.
#
#   docker build -t ccproxy .
#   docker run -p 127.0.0.1:3001:3001 -v ccproxy:/data -e TRUST_PROXY=true ccproxy          this machine only
#   docker run -p 3001:3001 -v ccproxy:/data -e AUTH_ENABLED=true -e AUTH_TOKEN=... ccproxy  others, with the token
#
# Inside a container ccproxy listens on all of the container's addresses, so it refuses to start without one of the two. The
# dashboard does so only with a password: add -p 127.0.0.1:5174:5174 -e DASHBOARD_PASSWORD=...
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ccproxy ccproxy
COPY analysis analysis
COPY dashboards dashboards
RUN python -m venv /opt/ccproxy && /opt/ccproxy/bin/pip install --no-cache-dir '.[all]'

FROM python:3.13-slim
COPY --from=build /opt/ccproxy /opt/ccproxy
RUN useradd --uid 10001 --create-home ccproxy && install -d -o ccproxy -g ccproxy -m 700 /data
ENV PATH=/opt/ccproxy/bin:$PATH
ENV PYTHONUNBUFFERED=1
ENV SERVER_HOST=0.0.0.0
ENV PORT=3001
ENV DASHBOARD_PORT=5174
ENV DB_PATH=/data/requests.db
USER ccproxy
WORKDIR /data
VOLUME /data
EXPOSE 3001 5174
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=3)"]
CMD ["ccproxy", "serve"]
