# An image of the server: the first stage builds it, and the second, which has no compiler, runs it.
#
#   docker build -t tributary .
#   docker run --rm -v tributary:/var/lib/tributary tributary token create --workspace /var/lib/tributary --name me
#   docker run -d --read-only --tmpfs /tmp -p 8080:8080 -v tributary:/var/lib/tributary tributary
#
# Both stages are scripts, so that scripts/image/check can test them on machines without Docker.

FROM swift:6.3-bookworm AS build
WORKDIR /source
COPY . .
RUN scripts/image/build /opt/tributary

FROM debian:12-slim
COPY scripts/image/runtime /usr/local/sbin/tributary-runtime
RUN tributary-runtime && rm /usr/local/sbin/tributary-runtime
COPY --from=build /opt/tributary /opt/tributary
# scripts/image/runtime creates this user. The server writes only to its workspace and to /tmp.
USER tributary
WORKDIR /var/lib/tributary
VOLUME /var/lib/tributary
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s \
    CMD ["curl", "-fsS", "--max-time", "4", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["/opt/tributary/tributary"]
CMD ["serve", "--host", "0.0.0.0", "--workspace", "/var/lib/tributary"]
