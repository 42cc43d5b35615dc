# oncely alone, for task files that need no more than a shell. For an image of your own:
#   COPY --from=oncely:0.1.0 /usr/local/bin/oncely /usr/local/bin/
# dist/build makes the archive: then docker build -t oncely:0.1.0 .
FROM debian:bookworm-slim AS archive
ARG VERSION=0.1.0
# ADD unpacks it.
ADD dist/out/oncely-${VERSION}-x86_64-linux.tar.gz /archive/
RUN install -m 755 /archive/oncely-*/oncely /usr/local/bin/ && oncely --version

FROM debian:bookworm-slim
# The newest root certificates are the right ones.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /app --shell /usr/sbin/nologin oncely \
    && install -d -o oncely -g oncely -m 0755 /app \
    && install -d -o oncely -g oncely -m 0700 /app/.oncely
COPY --from=archive /usr/local/bin/oncely /usr/local/bin/
USER 10001:10001
WORKDIR /app
# The project's files are mounted, or copied, to /app. A ledger in a file needs a volume at /app/.oncely.
# None is declared here: Docker would make one for each container, and throw the ledger away with it.
ENTRYPOINT ["oncely"]
CMD ["serve"]
