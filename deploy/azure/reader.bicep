// What pldns needs to learn the private endpoints of a subscription: a role that reads
// and does nothing else, and an identity that has it. hub.bicep uses it once for each
// subscription.
targetScope = 'subscription'

@description('Object id of the identity.')
param principalId string

// Each subscription has a role of its own: the name of one is unique in the tenant.
resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, 'pldns reader')
  properties: {
    roleName: 'pldns reader ${subscription().subscriptionId}'
    description: 'Lists private endpoints, their network interfaces, VNets, VPN gateways and private DNS zones.'
    type: 'CustomRole'
    assignableScopes: [subscription().id]
    permissions: [
      {
        actions: [
          'Microsoft.Network/privateEndpoints/read'
          'Microsoft.Network/networkInterfaces/read'
          'Microsoft.Network/virtualNetworks/read'
          'Microsoft.Network/virtualNetworks/subnets/read'
          'Microsoft.Network/virtualNetworkGateways/read'
          'Microsoft.Network/privateDnsZones/read'
          'Microsoft.Network/privateDnsZones/*/read'
          'Microsoft.Network/privateDnsZones/virtualNetworkLinks/read'
          'Microsoft.Resources/subscriptions/read'
          'Microsoft.Resources/subscriptions/resourceGroups/read'
        ]
      }
    ]
  }
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(role.id, principalId)
  properties: {
    roleDefinitionId: role.id
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
