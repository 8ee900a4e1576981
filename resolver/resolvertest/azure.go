package resolvertest

// AzureData is what the Internet, or Azure's own resolver, says about a few
// names, as master-file text for [StartUpstream]. The chains have the shapes that
// were observed: public names lead over a privatelink alias where somebody has a
// private endpoint.
//
//	plain.blob.core.windows.net       no endpoint anywhere: no alias (A, F)
//	contoso.blob.core.windows.net     an endpoint, seen from the Internet (B, E)
//	linked.blob.core.windows.net      an endpoint, seen from a linked VNet (C)
//	absent.blob.core.windows.net      a linked VNet without the record: NXDOMAIN (D)
//	momenta-eun.database.windows.net  SQL with an endpoint, seen from the Internet
//	momenta-aue.database.windows.net  the same
//	contoso-sql.database.windows.net  the same
//	fabrikam.blob.core.windows.net    another tenant's account with an endpoint
//	db.contoso.com                    a vanity name for momenta-eun
//	app.contoso.com                   a vanity name for a vanity name
//	dc.services.visualstudio.com      Azure Monitor: the alias is the fifth name
//	www.contoso.com                   an ordinary name with A and AAAA
const AzureData = `
plain.blob.core.windows.net.                 60    IN CNAME blob.ams08prdstr13c.store.core.windows.net.
blob.ams08prdstr13c.store.core.windows.net.  86400 IN A     203.0.113.3

contoso.blob.core.windows.net.               60    IN CNAME contoso.privatelink.blob.core.windows.net.
contoso.privatelink.blob.core.windows.net.   60    IN CNAME blob.fra24prdstr02a.store.core.windows.net.
blob.fra24prdstr02a.store.core.windows.net.  60    IN A     203.0.113.4

linked.blob.core.windows.net.                60    IN CNAME linked.privatelink.blob.core.windows.net.
linked.privatelink.blob.core.windows.net.    10    IN A     10.0.3.4

absent.blob.core.windows.net.                60    IN CNAME absent.privatelink.blob.core.windows.net.
privatelink.blob.core.windows.net.           10    IN SOA   azureprivatedns.net. azureprivatedns-host.microsoft.com. 1 3600 300 2419200 10

fabrikam.blob.core.windows.net.              60    IN CNAME fabrikam.privatelink.blob.core.windows.net.
fabrikam.privatelink.blob.core.windows.net.  60    IN CNAME blob.lon22prdstr05a.store.core.windows.net.
blob.lon22prdstr05a.store.core.windows.net.  60    IN A     203.0.113.5

momenta-eun.database.windows.net.              300 IN CNAME momenta-eun.privatelink.database.windows.net.
momenta-eun.privatelink.database.windows.net.  300 IN CNAME dataslice4.northeurope.database.windows.net.
dataslice4.northeurope.database.windows.net.   300 IN CNAME cr4.northeurope1-a.control.database.windows.net.
cr4.northeurope1-a.control.database.windows.net. 21000 IN A 203.0.113.20

momenta-aue.database.windows.net.              300 IN CNAME momenta-aue.privatelink.database.windows.net.
momenta-aue.privatelink.database.windows.net.  300 IN CNAME dataslice2.australiaeast.database.windows.net.
dataslice2.australiaeast.database.windows.net. 300 IN CNAME cr2.australiaeast1-a.control.database.windows.net.
cr2.australiaeast1-a.control.database.windows.net. 21000 IN A 203.0.113.21

contoso-sql.database.windows.net.              300 IN CNAME contoso-sql.privatelink.database.windows.net.
contoso-sql.privatelink.database.windows.net.  300 IN CNAME dataslice4.northeurope.database.windows.net.
database.windows.net.                          300 IN SOA   ns1.database.windows.net. hostmaster.microsoft.com. 1 3600 300 2419200 300

db.contoso.com.   3600 IN CNAME momenta-eun.database.windows.net.
app.contoso.com.  3600 IN CNAME db.contoso.com.
www.contoso.com.  300  IN A     203.0.113.80
www.contoso.com.  300  IN AAAA  2001:db8::80
contoso.com.      3600 IN SOA   ns1.contoso.com. hostmaster.contoso.com. 1 3600 300 2419200 300

dc.services.visualstudio.com.             300 IN CNAME dc.applicationinsights.microsoft.com.
dc.applicationinsights.microsoft.com.     300 IN CNAME dc.applicationinsights.azure.com.
dc.applicationinsights.azure.com.         300 IN CNAME global.in.ai.monitor.azure.com.
global.in.ai.monitor.azure.com.           300 IN CNAME global.in.ai.privatelink.monitor.azure.com.
global.in.ai.privatelink.monitor.azure.com. 300 IN CNAME dc.trafficmanager.net.
dc.trafficmanager.net.                    60  IN A     203.0.113.90
`
