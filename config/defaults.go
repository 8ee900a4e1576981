package config

import "time"

// What is not written in the file.
const (
	defaultListen    = ":53"
	defaultAdmin     = "127.0.0.1:8053"
	defaultAdminPort = 8053
	defaultUpstream  = "system" // the built-in group, and where "." goes

	defaultPolicy = "ordered"

	defaultDeadline = 2500 * time.Millisecond

	defaultProbeInterval = 10 * time.Second
	defaultProbeTimeout  = 2 * time.Second
	defaultProbeFall     = 2
	defaultProbeRise     = 2

	defaultUnlisted = 20 // queries a second; who is refused needs no more
	// defaultListed is five times what Azure DNS answers one machine, and more than a
	// forwarder for tens of thousands of people sends on; in the name of somebody else
	// it is 50 Mbit/s of the largest replies.
	defaultListed = 5000
	// defaultResponses is what NSD allows. Servers that are asked by stub resolvers as
	// well allow more than the 5 of BIND and Windows, which only caches ask.
	defaultResponses  = 200
	defaultSlip       = 2
	defaultListedSlip = 1 // nobody waits for what somebody else sends in his name
	defaultIPv4Prefix = 32
	defaultIPv6Prefix = 56 // what one site may have at the least

	defaultEntries  = 200_000
	defaultBytes    = 128 << 20
	defaultStale    = 24 * time.Hour
	defaultLate     = 5 * time.Second // longer than the 4 s that Azure DNS may take
	defaultMinTTL   = 0
	defaultMaxTTL   = 24 * time.Hour
	defaultPrefetch = true

	defaultLogTo     = "stdout"
	defaultLogSample = 100
	defaultLogKeep   = 7
	defaultFacility  = "local0"

	defaultTop = true

	defaultRecordTTL = 300 // seconds, of a record in an operator's zone that names none
)

// The ports of the transports.
const (
	portDNS   = 53
	portTLS   = 853
	portHTTPS = 443
)

// What may be written. A deadline over 10 s outlives every client; RFC 8767
// section 4 has no use for answers older than a week.
const (
	minDeadline = 100 * time.Millisecond
	maxDeadline = 10 * time.Second
	maxLate     = 30 * time.Second

	minProbeInterval = 100 * time.Millisecond
	maxProbeInterval = time.Hour
	maxProbeTimeout  = time.Minute
	maxProbeStreak   = 100

	maxLimit      = 1_000_000 // queries a second
	maxSlip       = 10
	minIPv4Prefix = 8
	minIPv6Prefix = 16

	maxEntries = 100_000_000
	minBytes   = 1 << 20
	maxBytes   = 1 << 40
	maxAge     = 7 * 24 * time.Hour
	maxMinTTL  = time.Hour

	maxEndpointTTL = 86_400  // seconds
	maxRecordTTL   = 604_800 // seconds
	maxMaxQPS      = 1e9

	maxLogStars = 16
	minLogAge   = time.Minute
	maxLogAge   = 366 * 24 * time.Hour
	maxLogKeep  = 10_000

	maxSample     = 1_000_000_000
	maxIdentity   = 255
	maxSocketPath = 107 // octets, by the systems that have such sockets

	maxLabel = 63 // characters in the name of a network, a set or a group
)
