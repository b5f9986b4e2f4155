# The service alone: compiled sources, production dependencies, no tests, no embedded PostgreSQL.
#   docker run --init -v ./suprsync.yaml:/app/config/suprsync.yaml:ro -e DATABASE_URL -e SUPRSEND_API_KEY suprsync
# Set http.listen to 0.0.0.0:9464 in the mapping file to reach /metrics from outside the container.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# No production dependency has an install script to run.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production \
    SUPRSYNC_HEALTH_URL=http://127.0.0.1:9464/livez
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY bin bin
COPY sql sql
USER node
EXPOSE 9464
# The start waits for an unreachable database while /livez already answers. Exit code 1 is Docker's word for unhealthy.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.SUPRSYNC_HEALTH_URL).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/suprsync.js"]
CMD ["run"]
