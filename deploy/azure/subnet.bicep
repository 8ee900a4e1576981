// The subnet of the machines, in a network that exists: nothing else of the network is
// touched. hub.bicep uses it, in the resource group of the network.
targetScope = 'resourceGroup'

@description('Name of the network.')
param networkName string

@description('Prefix of the subnet, which nothing else in the network has.')
param prefix string

@description('Id of the NAT gateway that is the way out; empty for the routes that the network has.')
param natGatewayId string

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' existing = {
  name: networkName
}

resource subnet 'Microsoft.Network/virtualNetworks/subnets@2024-05-01' = {
  parent: network
  name: 'pldns'
  properties: {
    addressPrefix: prefix
    defaultOutboundAccess: false
    natGateway: empty(natGatewayId) ? null : { id: natGatewayId }
  }
}

@description('The subnet.')
output id string = subnet.id
