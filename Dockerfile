# The binary needs nothing but CA certificates, so the image holds nothing else:
# no shell, no package manager, no root. Any builder makes it; for another
# processor than the builder's, give TARGETARCH (amd64, arm64): nothing is run of
# what was built.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Only here, so that the modules are downloaded once for all processors. What the compiler
# keeps is of no use to a later step.
ARG TARGETARCH
RUN GOOS=linux GOARCH=$TARGETARCH deploy/build /out/usr/bin/pldns \
 && go clean -cache \
 && mkdir -p /out/etc/ssl/certs \
 && mkdir -p -m 1777 /out/var/lib/pldns \
 && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
 && printf 'pldns:x:65532:65532:pldns:/:/sbin/nologin\n' > /out/etc/passwd

FROM scratch
# First, because an engine without BuildKit learns here which processor the image is for.
COPY --from=build /out/ /
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pldns" \
      org.opencontainers.image.description="Private DNS resolver for Azure Private Link" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
USER 65532:65532
EXPOSE 53/udp 53/tcp
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/bin/pldns", "probe"]
ENTRYPOINT ["/usr/bin/pldns"]
# /var/lib/pldns is for a volume, which begins with the rights of the folder, so that
# the program may write there. Without a folder /etc/pldns, which is where the
# configuration is mounted, this serves the built-in example.
CMD ["serve", "--or-example"]
