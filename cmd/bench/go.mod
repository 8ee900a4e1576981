module pldns/cmd/bench

go 1.26.0

toolchain go1.26.10

require (
	github.com/miekg/dns v1.1.73
	golang.org/x/sys v0.49.0
)

require golang.org/x/net v0.62.0 // indirect
