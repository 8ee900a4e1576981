// The private DNS zones of network hub, with their records and links.
//
// Apply   az deployment group create --resource-group my-group --template-file FILE \
//           --parameters virtualNetworkIds='["/subscriptions/.../virtualNetworks/my-vnet"]'
// Test    az network private-dns record-set list --resource-group my-group --zone-name ZONE
// Remove  az group delete --name my-group
//
// Zones of one name are told apart by their resource group: use a group for each network.

@description('Resource ids of the virtual networks that are answered from the zones.')
param virtualNetworkIds array

resource zone0 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'api.contoso.com'
  location: 'global'
}

resource zone0Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone0
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'Default'
  }
}]

resource zone0Set0 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone0
  name: '@'
  properties: {
    ttl: 10
    aRecords: [
      { ipv4Address: '10.0.1.12' }
    ]
  }
}

resource zone1 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'apps.contoso.com'
  location: 'global'
}

resource zone1Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone1
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'Default'
  }
}]

resource zone1Set0 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone1
  name: '*'
  properties: {
    ttl: 10
    aRecords: [
      { ipv4Address: '10.0.1.13' }
    ]
  }
}

resource zone2 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'corp.contoso.com'
  location: 'global'
}

resource zone2Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone2
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'Default'
  }
}]

resource zone2Set0 'Microsoft.Network/privateDnsZones/MX@2024-06-01' = {
  parent: zone2
  name: '@'
  properties: {
    ttl: 300
    mxRecords: [
      { preference: 10, exchange: 'mail.corp.contoso.com' }
    ]
  }
}

resource zone2Set1 'Microsoft.Network/privateDnsZones/TXT@2024-06-01' = {
  parent: zone2
  name: '@'
  properties: {
    ttl: 300
    txtRecords: [
      { value: ['it\'s \${here}', 'and "there"'] }
    ]
  }
}

resource zone2Set2 'Microsoft.Network/privateDnsZones/SRV@2024-06-01' = {
  parent: zone2
  name: '_ldap._tcp'
  properties: {
    ttl: 300
    srvRecords: [
      { priority: 0, weight: 100, port: 389, target: 'mail.corp.contoso.com' }
    ]
  }
}

resource zone2Set3 'Microsoft.Network/privateDnsZones/CNAME@2024-06-01' = {
  parent: zone2
  name: 'db'
  properties: {
    ttl: 300
    cnameRecord: { cname: 'momenta.database.windows.net' }
  }
}

resource zone2Set4 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone2
  name: 'mail'
  properties: {
    ttl: 300
    aRecords: [
      { ipv4Address: '10.0.2.1' }
    ]
  }
}

resource zone2Set5 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone2
  name: 'web'
  properties: {
    ttl: 10
    aRecords: [
      { ipv4Address: '10.0.1.14' }
    ]
  }
}

resource zone3 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'inside.contoso.com'
  location: 'global'
}

resource zone3Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone3
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'Default'
  }
}]

resource zone3Set0 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone3
  name: 'app'
  properties: {
    ttl: 10
    aRecords: [
      { ipv4Address: '10.0.1.11' }
    ]
  }
}

resource zone4 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'privatelink.azurecr.io'
  location: 'global'
}

resource zone4Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone4
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'Default'
  }
}]

resource zone4Set0 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone4
  name: 'contosoacr'
  properties: {
    ttl: 60
    aRecords: [
      { ipv4Address: '10.0.1.6' }
    ]
  }
}

resource zone4Set1 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone4
  name: 'contosoacr.westeurope.data'
  properties: {
    ttl: 10
    aRecords: [
      { ipv4Address: '10.0.1.7' }
    ]
  }
}

resource zone5 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'privatelink.blob.core.windows.net'
  location: 'global'
}

resource zone5Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone5
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'NxDomainRedirect'
  }
}]

resource zone5Set0 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone5
  name: 'dual'
  properties: {
    ttl: 10
    aRecords: [
      { ipv4Address: '10.0.1.5' }
    ]
  }
}

resource zone5Set1 'Microsoft.Network/privateDnsZones/AAAA@2024-06-01' = {
  parent: zone5
  name: 'dual'
  properties: {
    ttl: 10
    aaaaRecords: [
      { ipv6Address: 'fd00::5' }
    ]
  }
}

resource zone6 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'privatelink.database.windows.net'
  location: 'global'
}

resource zone6Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone6
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'NxDomainRedirect'
  }
}]

resource zone6Set0 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone6
  name: 'momenta'
  properties: {
    ttl: 10
    aRecords: [
      { ipv4Address: '10.0.1.8' }
    ]
  }
}

resource zone7 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'privatelink.queue.core.windows.net'
  location: 'global'
}

resource zone7Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone7
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'Default'
  }
}]

resource zone8 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'privatelink.uksouth.azurecontainerapps.io'
  location: 'global'
}

resource zone8Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone8
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'NxDomainRedirect'
  }
}]

resource zone8Set0 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone8
  name: '*.calmwater-75a475e8'
  properties: {
    ttl: 10
    aRecords: [
      { ipv4Address: '10.0.1.10' }
    ]
  }
}

resource zone9 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'privatelink.vaultcore.azure.net'
  location: 'global'
}

resource zone9Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone9
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'NxDomainRedirect'
  }
}]

resource zone9Set0 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone9
  name: 'contosokv'
  properties: {
    ttl: 10
    aRecords: [
      { ipv4Address: '10.0.1.4' }
    ]
  }
}

resource zone10 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'privatelink.westeurope.azmk8s.io'
  location: 'global'
}

resource zone10Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone10
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'NxDomainRedirect'
  }
}]

resource zone10Set0 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone10
  name: 'aks1.01e40daf'
  properties: {
    ttl: 10
    aRecords: [
      { ipv4Address: '10.0.1.9' }
    ]
  }
}

resource zone11 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'www.open.contoso.com'
  location: 'global'
}

resource zone11Link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for id in virtualNetworkIds: {
  parent: zone11
  name: 'pldns-${uniqueString(id)}'
  location: 'global'
  properties: {
    virtualNetwork: { id: id }
    registrationEnabled: false
    resolutionPolicy: 'Default'
  }
}]

resource zone11Set0 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone11
  name: '@'
  properties: {
    ttl: 300
    aRecords: [
      { ipv4Address: '10.0.2.2' }
    ]
  }
}

resource zone11Set1 'Microsoft.Network/privateDnsZones/AAAA@2024-06-01' = {
  parent: zone11
  name: '@'
  properties: {
    ttl: 300
    aaaaRecords: [
      { ipv6Address: 'fd00::22' }
    ]
  }
}
