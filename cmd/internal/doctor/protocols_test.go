package doctor_test

import (
	"crypto/tls"
	"net"
	"net/netip"
	"testing"

	"pldns/cmd/internal/doctor"
	"pldns/resolver/resolvertest"
	"pldns/zones"
	"pldns/zones/azure"
)

const sqlName = "mydb.database.windows.net"

// at is the configuration of an examination that finds a name at 127.0.0.1, by a
// server that answers as pldns does.
func at(t *testing.T, name string, port uint16, protocol doctor.Protocol, roots *authority) doctor.Config {
	t.Helper()
	server := resolvertest.StartUpstream(t, name+". 10 IN A 127.0.0.1")
	return doctor.Config{
		Catalogue: azure.New(), Server: server.Addr, Port: port, Protocol: protocol,
		Roots: roots.roots, Timeout: patience, OS: "linux",
	}
}

func examine(t *testing.T, config doctor.Config, name string) doctor.Report {
	t.Helper()
	return doctor.Examine(t.Context(), config, zones.MustName(name))
}

// Every protocol ends at the certificate of the server, which is held against the
// real name.
func TestEveryProtocolShowsItsCertificate(t *testing.T) {
	ca := newAuthority(t)
	good, other := ca.issue([]string{sqlName}), ca.issue([]string{"other.database.windows.net"})
	for _, test := range []struct {
		name     string
		protocol doctor.Protocol
		talk     func(tls.Certificate) func(net.Conn)
	}{
		{"TLS at once: HTTPS, Redis, AMQPS", doctor.TLS, plainTLS},
		{"SQL Server, encryption on", doctor.SQLServer, func(c tls.Certificate) func(net.Conn) { return sqlServer(t, 1, c) }},
		{"SQL Server, encryption required", doctor.SQLServer, func(c tls.Certificate) func(net.Conn) { return sqlServer(t, 3, c) }},
		{"PostgreSQL", doctor.PostgreSQL, func(c tls.Certificate) func(net.Conn) { return postgresServer(t, "S", c) }},
		{"MySQL", doctor.MySQL, func(c tls.Certificate) func(net.Conn) { return mysqlServer(t, mysqlGreeting(true), c) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			port := serve(t, test.talk(good)).Port()
			expect(t, examine(t, at(t, sqlName, port, test.protocol, ca), sqlName), nil,
				"ok certificate: 127.0.0.1:", "valid for "+sqlName, "signed by Test Root")

			port = serve(t, test.talk(other)).Port()
			expect(t, examine(t, at(t, sqlName, port, test.protocol, ca), sqlName), []string{"certificate"},
				"the certificate is for other.database.windows.net, not for "+sqlName)
		})
	}
}

// What a server says in place of its preface is told, and never harms.
func TestPrefacesThatFail(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue([]string{sqlName})
	for _, test := range []struct {
		name     string
		protocol doctor.Protocol
		talk     func(net.Conn)
		says     string
	}{
		{"SQL Server without encryption", doctor.SQLServer, sqlServer(t, 2, certificate), "does not support encryption"},
		{"SQL Server: garbage", doctor.SQLServer, saying("HTTP/1.1 400 Bad Request\r\n\r\n"), "does not answer the pre-login of SQL Server"},
		{"SQL Server: an option list without end", doctor.SQLServer, saying(string(tdsPacket(4, 1, []byte{0, 0, 0, 0, 0}))), "its option list has no end"},
		{"SQL Server: an option cut off", doctor.SQLServer, saying(string(tdsPacket(4, 1, []byte{1, 0, 6}))), "cut off"},
		{"SQL Server: an option outside", doctor.SQLServer, saying(string(tdsPacket(4, 1, []byte{1, 0, 6, 0, 1, 0xff}))), "outside the message"},
		{"SQL Server: nothing of encryption", doctor.SQLServer, saying(string(tdsPacket(4, 1, []byte{0xff}))), "nothing of encryption"},
		{"SQL Server: empty packets", doctor.SQLServer, saying(string(tdsPacket(4, 0, nil))), "an empty packet"},
		{"SQL Server: no TLS after the pre-login", doctor.SQLServer, func(conn net.Conn) {
			if _, err := readTDS(conn); err == nil {
				_, _ = conn.Write(tdsPacket(4, 1, []byte{1, 0, 6, 0, 1, 0xff, 1}))
				_, _ = conn.Write([]byte("garbage that is no packet"))
				drain(conn)
			}
		}, "no TDS packet"},
		{"PostgreSQL without TLS", doctor.PostgreSQL, postgresServer(t, "N", certificate), "does not offer TLS"},
		{"PostgreSQL: an error", doctor.PostgreSQL, postgresServer(t, "E\x00\x00\x00\x17SFATAL\x00Mgo\x1b[2Jaway\x00\x00", certificate), `reports "go\x1b[2Jaway"`},
		{"PostgreSQL: an endless error", doctor.PostgreSQL, postgresServer(t, "E\x7f\xff\xff\xff", certificate), "does not answer the SSLRequest"},
		{"PostgreSQL: garbage", doctor.PostgreSQL, saying("SSH-2.0-OpenSSH\r\n"), "does not speak TLS"},
		{"PostgreSQL: other garbage", doctor.PostgreSQL, saying("220 mail\r\n"), "does not answer the SSLRequest"},
		{"MySQL without TLS", doctor.MySQL, mysqlServer(t, mysqlGreeting(false), certificate), "does not offer TLS"},
		{"MySQL: turned away", doctor.MySQL, saying(string(mysqlPacket(0, []byte("\xff\x69\x04Host '10.0.0.7' is blocked\x1b[31m")))), `error 1129, "Host '10.0.0.7' is blocked\x1b[31m"`},
		{"MySQL: an old protocol", doctor.MySQL, saying(string(mysqlPacket(0, []byte("\x093.20\x00")))), "does not greet as MySQL does"},
		{"MySQL: cut off", doctor.MySQL, saying(string(mysqlPacket(0, []byte("\x0a8.0\x00\x01\x02")))), "cut off"},
		{"MySQL: garbage", doctor.MySQL, saying("SSH-2.0-OpenSSH_9.2\r\n"), "does not greet as MySQL does"},
		{"TLS: garbage", doctor.TLS, saying("SSH-2.0-OpenSSH_9.2\r\n"), "does not speak TLS at this port"},
		{"TLS: closed at once", doctor.TLS, func(net.Conn) {}, "closes the connection before showing a certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			port := serve(t, test.talk).Port()
			expect(t, examine(t, at(t, sqlName, port, test.protocol, ca), sqlName), []string{"certificate"}, test.says)
		})
	}
}

// A port that takes connections and says nothing ends the step in its time.
func TestSilentPorts(t *testing.T) {
	ca := newAuthority(t)
	for _, protocol := range []doctor.Protocol{doctor.TLS, doctor.SQLServer, doctor.PostgreSQL, doctor.MySQL} {
		t.Run(string(protocol), func(t *testing.T) {
			t.Parallel()
			to := serve(t, silent)
			results := doctor.Verify(t.Context(), doctor.VerifyConfig{
				Catalogue: azure.New(), Roots: ca.roots, Timeout: impatience,
			}, []doctor.Target{{Network: "office", Name: nameOf(protocol), Addresses: []netip.Addr{to.Addr()}, Port: to.Port()}})
			if r := results[0]; r.Verdict != doctor.Fail || r.Protocol != protocol || r.Seen != "it takes the connection and says nothing within 1.5s" {
				t.Errorf("%+v", r)
			}
		})
	}
}

// nameOf is a name whose service speaks a protocol.
func nameOf(protocol doctor.Protocol) zones.Name {
	switch protocol {
	case doctor.SQLServer:
		return zones.MustName(sqlName)
	case doctor.PostgreSQL:
		return zones.MustName("mydb.postgres.database.azure.com")
	case doctor.MySQL:
		return zones.MustName("mydb.mysql.database.azure.com")
	default:
		return zones.MustName("contoso.blob.core.windows.net")
	}
}

// The service behind a name says its port, and the port what is spoken there.
func TestServiceOf(t *testing.T) {
	catalogue := azure.New()
	for _, test := range []struct {
		name     string
		port     uint16
		want     uint16
		protocol doctor.Protocol
	}{
		{"mydb.database.windows.net", 0, 1433, doctor.SQLServer},
		{"mydb.privatelink.database.windows.net", 0, 1433, doctor.SQLServer},
		{"mydb.database.windows.net", 15001, 15001, doctor.SQLServer},
		{"mydb.database.windows.net", 443, 443, doctor.TLS},
		{"mi1.abc123def456.database.windows.net", 0, 1433, doctor.SQLServer},
		{"w.sql.azuresynapse.net", 0, 1433, doctor.SQLServer},
		{"w-ondemand.sql.azuresynapse.net", 0, 1433, doctor.SQLServer},
		{"w.dev.azuresynapse.net", 0, 443, doctor.TLS},
		{"mydb.postgres.database.azure.com", 0, 5432, doctor.PostgreSQL},
		{"mydb.mysql.database.azure.com", 0, 3306, doctor.MySQL},
		{"mydb.mariadb.database.azure.com", 0, 3306, doctor.MySQL},
		{"contoso.redis.cache.windows.net", 0, 6380, doctor.TLS},
		{"contoso.servicebus.windows.net", 0, 5671, doctor.TLS},
		{"contoso.mongo.cosmos.azure.com", 0, 10255, doctor.TLS},
		{"contoso.blob.core.windows.net", 0, 443, doctor.TLS},
		{"ep1.westeurope.inference.ml.azure.com", 0, 443, doctor.TLS},
		{"api.contoso.com", 0, 443, doctor.TLS},
		{"api.contoso.com", 5432, 5432, doctor.PostgreSQL},
	} {
		service := doctor.ServiceOf(catalogue, zones.MustName(test.name)).At(test.port)
		if service.Port != test.want || service.Protocol != test.protocol {
			t.Errorf("%s at %d: port %d, %s; want %d, %s", test.name, test.port, service.Port, service.Protocol, test.want, test.protocol)
		}
	}
}
