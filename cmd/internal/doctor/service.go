package doctor

import (
	"errors"
	"fmt"
	"strings"

	"pldns/zones"
	"pldns/zones/azure"
)

// Protocol is what a service speaks before TLS.
type Protocol string

// The protocols.
const (
	TLS        Protocol = "tls"      // TLS at once: HTTPS, Redis, AMQPS
	SQLServer  Protocol = "tds"      // SQL Server: TLS inside TDS packets, after a pre-login
	PostgreSQL Protocol = "postgres" // PostgreSQL: TLS after an SSLRequest
	MySQL      Protocol = "mysql"    // MySQL and MariaDB: TLS after the greeting and an SSLRequest
)

// ParseProtocol reads a protocol as a user writes it. The error lists those that there
// are.
func ParseProtocol(text string) (Protocol, error) {
	switch p := Protocol(text); p {
	case TLS, SQLServer, PostgreSQL, MySQL:
		return p, nil
	default:
		return "", fmt.Errorf("%q is no protocol: write tls, tds, postgres or mysql", text)
	}
}

// Service is where and how the service behind a name is spoken to.
type Service struct {
	Title    string // as the catalogue calls it; empty for a name outside it
	Port     uint16
	Protocol Protocol
}

// ServiceOf says how the service behind a name is spoken to: by its row of the
// catalogue, and by HTTPS where that says nothing else.
func ServiceOf(catalogue *azure.Catalogue, name zones.Name) Service {
	entry, known := entryOf(catalogue, name)
	if !known {
		return Service{Port: 443, Protocol: TLS}
	}
	port := portOf(entry)
	return Service{Title: entry.Service, Port: port, Protocol: protocolAt(port, TLS)}
}

// At is the service on another port, which says what is spoken there if it is the
// well-known port of a protocol. Port 0 changes nothing.
func (s Service) At(port uint16) Service {
	if port != 0 {
		s.Port, s.Protocol = port, protocolAt(port, s.Protocol)
	}
	return s
}

// entryOf is the row of the catalogue that covers a name, public or private.
func entryOf(catalogue *azure.Catalogue, name zones.Name) (azure.Entry, bool) {
	if match, private := catalogue.ZoneOf(name); private {
		return match.Entry, true
	}
	match, err := catalogue.Derive(name)
	var underivable *azure.NotDerivableError
	if errors.As(err, &underivable) {
		return underivable.Entry, true
	}
	return match.Entry, err == nil
}

// portOf is the port that clients of a service use.
func portOf(e azure.Entry) uint16 {
	switch {
	case strings.HasPrefix(e.ResourceType, "Microsoft.Sql/"),
		e.ResourceType == "Microsoft.Synapse/workspaces" && strings.HasPrefix(e.Subresource, "Sql"):
		return 1433
	case strings.HasPrefix(e.ResourceType, "Microsoft.DBforPostgreSQL/"):
		return 5432
	case strings.HasPrefix(e.ResourceType, "Microsoft.DBforMySQL/"), strings.HasPrefix(e.ResourceType, "Microsoft.DBforMariaDB/"):
		return 3306
	case e.ResourceType == "Microsoft.Cache/Redis":
		return 6380
	case e.ResourceType == "Microsoft.Cache/RedisEnterprise":
		return 10000
	case strings.HasPrefix(e.PrivateZone, "privatelink.servicebus."):
		return 5671 // five resource types share the zone; Service Bus and Event Hubs speak AMQP
	case strings.HasPrefix(e.PrivateZone, "privatelink.mongo.cosmos."):
		return 10255
	case strings.HasPrefix(e.PrivateZone, "privatelink.mongocluster.cosmos."):
		return 10260
	case strings.HasPrefix(e.PrivateZone, "privatelink.cassandra.cosmos."):
		return 10350
	default:
		return 443
	}
}

// protocolAt is what is spoken on a well-known port, and otherwise on others.
func protocolAt(port uint16, otherwise Protocol) Protocol {
	switch port {
	case 1433:
		return SQLServer
	case 5432:
		return PostgreSQL
	case 3306:
		return MySQL
	case 443, 5671, 6380, 10000, 10255, 10260, 10350:
		return TLS
	default:
		return otherwise
	}
}
