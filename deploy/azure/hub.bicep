// A hub network with pldns: two virtual machines in two zones behind an internal
// load balancer, which is the DNS server of the network, of VPN clients, and the
// target of conditional forwarders. hub.tf is the same for Terraform.
targetScope = 'resourceGroup'

@description('Region of everything; it must have availability zones.')
param location string = resourceGroup().location

@description('Full name of the image, which the machines can pull.')
param image string

@description('Public SSH key of the user azureuser. Nothing lets SSH in from outside the network.')
param sshPublicKey string

@description('Prefix of the hub network.')
param hubPrefix string = '10.0.0.0/16'

@description('Prefix of the subnet of the machines, in the hub.')
param subnetPrefix string = '10.0.0.0/26'

@description('Address of the DNS server, in the subnet.')
param dnsAddress string = '10.0.0.53'

@description('Who may ask: prefixes of networks, VPN pools and forwarders.')
param clientPrefixes array = [
  '10.0.0.0/16'
  '172.16.10.0/24'
]

@description('Size of a machine.')
param vmSize string = 'Standard_B2s_v2'

var zones = ['1', '2']
var cloudInit = replace(replace(loadTextContent('cloud-init.yaml'), '@IMAGE@', image), '@CONFIG@', base64(loadTextContent('pldns.toml')))

resource nsg 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'pldns'
  location: location
  properties: {
    securityRules: [
      {
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
      {
        name: 'probe'
        properties: {
          priority: 110
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'AzureLoadBalancer'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '53'
        }
      }
      {
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
    ]
  }
}

// The way out, for packages and the image.
resource outAddress 'Microsoft.Network/publicIPAddresses@2024-05-01' = {
  name: 'pldns-out'
  location: location
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

resource nat 'Microsoft.Network/natGateways@2024-05-01' = {
  name: 'pldns'
  location: location
  sku: { name: 'Standard' }
  properties: { publicIpAddresses: [{ id: outAddress.id }] }
}

resource hub 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'hub'
  location: location
  properties: {
    addressSpace: { addressPrefixes: [hubPrefix] }
    dhcpOptions: { dnsServers: [dnsAddress] }
    subnets: [
      {
        name: 'dns'
        properties: {
          addressPrefix: subnetPrefix
          networkSecurityGroup: { id: nsg.id }
          natGateway: { id: nat.id }
        }
      }
    ]
  }
}

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
          subnet: { id: hub.properties.subnets[0].id }
        }
      }
    ]
    backendAddressPools: [{ name: 'pldns' }]
    probes: [
      {
        name: 'dns'
        properties: { protocol: 'Tcp', port: 53, intervalInSeconds: 5, probeThreshold: 2 }
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
          probe: { id: resourceId('Microsoft.Network/loadBalancers/probes', 'pldns', 'dns') }
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
      ipConfigurations: [
        {
          name: 'main'
          properties: {
            subnet: { id: hub.properties.subnets[0].id }
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
    properties: {
      hardwareProfile: { vmSize: vmSize }
      storageProfile: {
        imageReference: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: 'latest' }
        osDisk: { createOption: 'FromImage', managedDisk: { storageAccountType: 'StandardSSD_LRS' } }
      }
      osProfile: {
        computerName: 'pldns-${zone}'
        adminUsername: 'azureuser'
        customData: base64(cloudInit)
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

@description('The DNS server for the profiles of VPN clients.')
output vpnDnsServers array = [dnsAddress]

@description('Where conditional forwarders send the public zones.')
output forwarderTarget string = dnsAddress

@description('The network whose DNS server this is.')
output hubId string = hub.id
