# The binary needs nothing but CA certificates, so the image holds nothing else:
# no shell, no package manager, no root.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/pldns ./cmd/pldns
RUN mkdir -p /out/etc/pldns /out/etc/ssl/certs \
 && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
 && printf 'pldns:x:65532:65532:pldns:/:/sbin/nologin\n' > /out/etc/passwd \
 && mkdir -p /out/usr/bin && mv /out/pldns /out/usr/bin/pldns

FROM scratch
COPY --from=build /out/ /
USER 65532:65532
EXPOSE 53/udp 53/tcp
ENTRYPOINT ["/usr/bin/pldns"]
CMD ["serve"]
