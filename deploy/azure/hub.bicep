// pldns in a hub network that exists: two virtual machines in two zones behind an
// internal load balancer, whose address is the DNS server for networks, VPN clients and
// conditional forwarders. The network itself is not touched but for a subnet of its own.
// hub.tf is the same for Terraform.
targetScope = 'resourceGroup'

@description('Region of the network; it must have availability zones.')
param location string = resourceGroup().location

@description('Full name of the image. A new image has a new name: one that a machine has is not pulled again.')
param image string

@description('Id of the Azure Container Registry that the image is pulled from as the identity of the machines; empty where nobody has to log in.')
param registryId string = ''

@description('Public SSH key of the user azureuser.')
param sshPublicKey string

@description('Id of the hub network, in any resource group of this subscription.')
param networkId string

@description('Name of a subnet of it that exists; without one a subnet named pldns is made.')
param subnetName string = ''

@description('Prefix of the subnet that is made.')
param subnetPrefix string = '10.0.0.0/26'

@description('Whether the subnet that is made has a NAT gateway, for packages and the image; false where a firewall is the way out.')
param natGateway bool = true

@description('Address of the DNS server, in the subnet.')
param dnsAddress string = '10.0.0.53'

@description('Who may ask: prefixes of networks, VPN pools and forwarders.')
param clientPrefixes array = ['10.0.0.0/16', '172.16.10.0/24']

@description('Who may open the page, the metrics and SSH: prefixes of a Bastion, of monitoring, of VPN clients of operators.')
param operatorPrefixes array = []

@description('Ids of the subscriptions whose private endpoints are learned; empty where the identity is given its role elsewhere.')
param subscriptions array = [subscription().subscriptionId]

@description('Size of a machine.')
param vmSize string = 'Standard_B2s_v2'

var zones = ['1', '2']
var network = split(networkId, '/')
var registry = split(empty(registryId) ? resourceGroup().id : registryId, '/')
var noId = '00000000-0000-0000-0000-000000000000'
var noNetwork = '/subscriptions/${noId}/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub'
var config = replace(replace(loadTextContent('pldns.toml'), noNetwork, networkId), '/subscriptions/${noId}', subscription().id)

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'pldns'
  location: location
}

module reader 'reader.bicep' = [
  for id in subscriptions: {
    name: 'pldns-reader-${id}'
    scope: subscription(id)
    params: { principalId: identity.properties.principalId }
  }
]

module puller 'puller.bicep' = if (!empty(registryId)) {
  name: 'pldns-puller'
  scope: resourceGroup(registry[2], registry[4])
  params: { registryName: last(registry), principalId: identity.properties.principalId }
}

var dnsRule = {
  name: 'dns'
  properties: {
    priority: 100
    direction: 'Inbound'
    access: 'Allow'
    protocol: '*'
    sourceAddressPrefixes: clientPrefixes
    sourcePortRange: '*'
    destinationAddressPrefix: '*'
    destinationPortRange: '53'
  }
}
var probeRule = {
  name: 'probe'
  properties: {
    priority: 110
    direction: 'Inbound'
    access: 'Allow'
    protocol: 'Tcp'
    sourceAddressPrefix: 'AzureLoadBalancer'
    sourcePortRange: '*'
    destinationAddressPrefix: '*'
    destinationPortRange: '8053'
  }
}
var operatorsRule = {
  name: 'operators'
  properties: {
    priority: 120
    direction: 'Inbound'
    access: 'Allow'
    protocol: 'Tcp'
    sourceAddressPrefixes: operatorPrefixes
    sourcePortRange: '*'
    destinationAddressPrefix: '*'
    destinationPortRanges: ['22', '8053']
  }
}
var nothingElseRule = {
  name: 'nothing-else'
  properties: {
    priority: 4000
    direction: 'Inbound'
    access: 'Deny'
    protocol: '*'
    sourceAddressPrefix: '*'
    sourcePortRange: '*'
    destinationAddressPrefix: '*'
    destinationPortRange: '*'
  }
}

// Of the network interfaces and not of the subnet, which may have one already.
resource nsg 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'pldns'
  location: location
  properties: {
    securityRules: concat([dnsRule, probeRule, nothingElseRule], empty(operatorPrefixes) ? [] : [operatorsRule])
  }
}

var ownWayOut = empty(subnetName) && natGateway

resource outAddress 'Microsoft.Network/publicIPAddresses@2024-05-01' = if (ownWayOut) {
  name: 'pldns-out'
  location: location
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

resource nat 'Microsoft.Network/natGateways@2024-05-01' = if (ownWayOut) {
  name: 'pldns'
  location: location
  sku: { name: 'Standard' }
  properties: { publicIpAddresses: [{ id: outAddress.id }] }
}

module subnet 'subnet.bicep' = if (empty(subnetName)) {
  name: 'pldns-subnet'
  scope: resourceGroup(network[2], network[4])
  params: {
    networkName: last(network)
    prefix: subnetPrefix
    natGatewayId: ownWayOut ? nat.id : ''
  }
}

var subnetId = empty(subnetName) ? subnet!.outputs.id : '${networkId}/subnets/${subnetName}'

resource balancer 'Microsoft.Network/loadBalancers@2024-05-01' = {
  name: 'pldns'
  location: location
  sku: { name: 'Standard' }
  properties: {
    frontendIPConfigurations: [
      {
        name: 'dns'
        zones: ['1', '2', '3']
        properties: {
          privateIPAllocationMethod: 'Static'
          privateIPAddress: dnsAddress
          subnet: { id: subnetId }
        }
      }
    ]
    backendAddressPools: [{ name: 'pldns' }]
    probes: [
      {
        name: 'ready'
        properties: { protocol: 'Http', port: 8053, requestPath: '/readyz', intervalInSeconds: 5, probeThreshold: 2 }
      }
    ]
    loadBalancingRules: [
      for protocol in ['Udp', 'Tcp']: {
        name: 'dns-${toLower(protocol)}'
        properties: {
          protocol: protocol
          frontendPort: 53
          backendPort: 53
          idleTimeoutInMinutes: 4
          frontendIPConfiguration: { id: resourceId('Microsoft.Network/loadBalancers/frontendIPConfigurations', 'pldns', 'dns') }
          backendAddressPool: { id: resourceId('Microsoft.Network/loadBalancers/backendAddressPools', 'pldns', 'pldns') }
          probe: { id: resourceId('Microsoft.Network/loadBalancers/probes', 'pldns', 'ready') }
        }
      }
    ]
  }
}

// The machines themselves ask Azure: they are what everybody else asks.
resource nics 'Microsoft.Network/networkInterfaces@2024-05-01' = [
  for zone in zones: {
    name: 'pldns-${zone}'
    location: location
    properties: {
      dnsSettings: { dnsServers: ['168.63.129.16'] }
      networkSecurityGroup: { id: nsg.id }
      ipConfigurations: [
        {
          name: 'main'
          properties: {
            subnet: { id: subnetId }
            loadBalancerBackendAddressPools: [{ id: balancer.properties.backendAddressPools[0].id }]
          }
        }
      ]
    }
  }
]

resource machines 'Microsoft.Compute/virtualMachines@2024-07-01' = [
  for (zone, i) in zones: {
    name: 'pldns-${zone}'
    location: location
    zones: [zone]
    identity: { type: 'UserAssigned', userAssignedIdentities: { '${identity.id}': {} } }
    properties: {
      hardwareProfile: { vmSize: vmSize }
      storageProfile: {
        imageReference: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: 'latest' }
        osDisk: { createOption: 'FromImage', managedDisk: { storageAccountType: 'StandardSSD_LRS' } }
      }
      osProfile: {
        computerName: 'pldns-${zone}'
        adminUsername: 'azureuser'
        customData: loadFileAsBase64('cloud-init.yaml')
        linuxConfiguration: {
          disablePasswordAuthentication: true
          ssh: { publicKeys: [{ path: '/home/azureuser/.ssh/authorized_keys', keyData: sshPublicKey }] }
        }
      }
      networkProfile: { networkInterfaces: [{ id: nics[i].id }] }
      diagnosticsProfile: { bootDiagnostics: { enabled: true } }
    }
  }
]

// Image and configuration, on one machine after the other: it runs again when either
// changes, and stops the deployment where a machine does not serve them.
@batchSize(1)
resource apply 'Microsoft.Compute/virtualMachines/runCommands@2024-07-01' = [
  for (zone, i) in zones: {
    parent: machines[i]
    name: 'pldns'
    location: location
    properties: {
      source: {
        script: replace(
          replace(replace(loadTextContent('apply.sh'), '@IMAGE@', image), '@PULLER@', empty(registryId) ? '' : identity.properties.clientId),
          '@CONFIG@',
          base64(replace(config, noId, identity.properties.clientId))
        )
      }
      timeoutInSeconds: 2400
      treatFailureAsDeploymentFailure: true
    }
    dependsOn: [reader, puller]
  }
]

@description('The DNS server for the profiles of VPN clients.')
output vpnDnsServers array = [dnsAddress]

@description('Where conditional forwarders send the public zones.')
output forwarderTarget string = dnsAddress

@description('The addresses of the machines themselves, where page and metrics are, at port 8053.')
output machineAddresses array = [
  for (zone, i) in zones: nics[i].properties.ipConfigurations[0].properties.privateIPAddress
]

@description('Id of the identity of the machines.')
output identityId string = identity.id
