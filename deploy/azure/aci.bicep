// One container without a machine, for trying things out: README.md says what it
// lacks. The subnet is delegated to Microsoft.ContainerInstance/containerGroups.
targetScope = 'resourceGroup'

@description('Region of the subnet.')
param location string = resourceGroup().location

@description('Full name of the image, which can be pulled.')
param image string

@description('Id of the delegated subnet.')
param subnetId string

resource group 'Microsoft.ContainerInstance/containerGroups@2023-05-01' = {
  name: 'pldns'
  location: location
  properties: {
    osType: 'Linux'
    restartPolicy: 'Always'
    subnetIds: [{ id: subnetId }]
    dnsConfig: { nameServers: ['168.63.129.16'] }
    ipAddress: {
      type: 'Private'
      ports: [{ protocol: 'UDP', port: 53 }]
    }
    volumes: [{ name: 'config', secret: { 'pldns.toml': base64(loadTextContent('pldns.toml')) } }]
    containers: [
      {
        name: 'pldns'
        properties: {
          image: image
          command: ['/usr/bin/pldns', 'serve']
          ports: [{ protocol: 'UDP', port: 53 }]
          resources: { requests: { cpu: 1, memoryInGB: 1 } }
          volumeMounts: [{ name: 'config', mountPath: '/etc/pldns', readOnly: true }]
          livenessProbe: { exec: { command: ['/usr/bin/pldns', 'probe'] }, periodSeconds: 10, failureThreshold: 3 }
        }
      }
    ]
  }
}

@description('The address that the group was given; it may be another after a restart.')
output address string = group.properties.ipAddress.ip
